from django.urls import path

from tutor import views

urlpatterns = [
    path("lessons/<slug:slug>/tutor/", views.tutor, name="tutor"),
    path("lessons/<slug:slug>/tutor/stream", views.stream, name="tutor_stream"),
    path("lessons/<slug:slug>/tutor/feedback", views.send_feedback, name="tutor_feedback"),
]
