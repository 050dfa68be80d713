from django.urls import path

from tutor import model_views, views

urlpatterns = [
    path("lab/tutor-model/", model_views.use_model, name="tutor-model"),
    path("lessons/<slug:slug>/tutor/", views.tutor, name="tutor"),
    path("lessons/<slug:slug>/tutor/stream", views.stream, name="tutor_stream"),
    path("lessons/<slug:slug>/tutor/feedback", views.send_feedback, name="tutor_feedback"),
]
