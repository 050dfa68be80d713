from django.urls import path

from quant import upload_views, views
from quant.planner import views as planner_views

urlpatterns = [
    path("lab/", views.index, name="lab"),
    path("lab/layer/", views.layer, name="lab-layer"),
    path("lab/compare/", views.compare, name="lab-compare"),
    path("lab/models/", upload_views.upload, name="lab-upload"),
    path("lab/models/<str:name>/", views.stored_model, name="lab-model"),
    path("lab/<int:pk>/", views.experiment, name="lab-experiment"),
    path("lab/<int:pk>/progress", views.progress, name="lab-progress"),
    path("lab/<int:pk>/report", views.report, name="lab-report"),
    path("lab/<int:pk>/log", views.log, name="lab-log"),
    path("lab/<int:pk>/tokens", views.tokens, name="lab-tokens"),
    path("lab/<int:pk>/stop", views.stop, name="lab-stop"),
    path("lab/<int:pk>/retry", views.retry, name="lab-retry"),
    path("lab/<int:pk>/notes", views.notes, name="lab-notes"),
    path("lab/<int:pk>/delete", views.delete, name="lab-delete"),
    path("lab/<int:pk>/remove-files", views.remove_files, name="lab-remove-files"),
    path("lab/<int:pk>/experiment.csv", views.export_csv, name="lab-csv"),
    path("lab/<int:pk>/experiment.html", views.export_html, name="lab-html"),
    path("lab/<int:pk>/experiment.json", views.export_json, name="lab-json"),
    path("lab/<int:pk>/files/<str:name>", views.download, name="lab-download"),
    path("lab/<int:pk>/files/<str:name>/", views.variant_model, name="lab-variant"),
    path("planner/", planner_views.planner, name="planner"),
]
