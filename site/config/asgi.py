import os

from django.core.asgi import get_asgi_application

from config.upload_gate import gate

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = gate(get_asgi_application())
