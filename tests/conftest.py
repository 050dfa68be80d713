import pytest


@pytest.fixture(autouse=True)
def plain_static_files(settings):
    """Pages name their static files without a manifest; tests/browser collects real ones."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}
