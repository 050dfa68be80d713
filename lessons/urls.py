from django.urls import path

from lessons import class_views, progress_views, review_views, views

urlpatterns = [
    path("", views.home, name="home"),
    path("lessons/<slug:slug>/", views.lesson, name="lesson"),
    path("lessons/<slug:slug>/quiz/", views.take_quiz, name="quiz"),
    path("search/", views.search, name="search"),
    path("authors/", views.authors, name="authors"),
    path("preview/", views.preview_page, name="preview"),
    path("preview/version", views.preview_version, name="preview_version"),
    path("review/", review_views.review_page, name="review"),
    path("review/due", review_views.review_due, name="review_due"),
    path("classes/", class_views.class_list, name="classes"),
    path("classes/<int:pk>/", class_views.class_page, name="class"),
    path("classes/<int:pk>/change/", class_views.class_change, name="class_change"),
    path("classes/<int:pk>/leave/", class_views.class_leave, name="class_leave"),
    path("classes/join/<str:code>/", class_views.class_join, name="class_join"),
    path("progress/", progress_views.progress_page, name="progress"),
    path("accounts/delete/", progress_views.delete_account, name="account_delete"),
    path("progress/sync", progress_views.progress_sync, name="progress_sync"),
    path("progress/deleted", progress_views.progress_deleted, name="progress_deleted"),
    path("progress/export", progress_views.progress_export, name="progress_export"),
    path("progress/import", progress_views.progress_import, name="progress_import"),
]
