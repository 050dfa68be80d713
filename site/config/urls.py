from django.urls import include, path

from config.views import healthz, no_answer, service_worker

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("service-worker.js", service_worker),
    path("offline/", no_answer),
    path("accounts/", include("allauth.urls")),
    path("", include("lessons.urls")),
    path("", include("tutor.urls")),
    path("", include("quant.urls")),
]
