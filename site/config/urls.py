from django.urls import include, path

from config.views import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("accounts/", include("allauth.urls")),
    path("", include("lessons.urls")),
    path("", include("tutor.urls")),
    path("", include("quant.urls")),
]
