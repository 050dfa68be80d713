import pytest


@pytest.fixture(scope="session")
def collected_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("static")  # whitenoise warns where there is none


@pytest.fixture(autouse=True)
def plain_static_files(settings, collected_folder):
    """Pages name their static files without a manifest; tests/browser collects real ones."""
    settings.STATIC_ROOT = collected_folder
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}
