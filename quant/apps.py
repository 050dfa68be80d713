from django.apps import AppConfig


class QuantConfig(AppConfig):
    name = "quant"
    default_auto_field = "django.db.models.BigAutoField"
