from django.urls import path

from lessons import progress_views

urlpatterns = [
    path("progress/sync", progress_views.progress_sync, name="progress_sync"),
]
