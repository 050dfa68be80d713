"""Which version of the pages this process serves: part of every ETag."""

from functools import cache
from hashlib import sha256

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage


@cache
def release() -> str:
    """Changes when a template, a view or a static file does; read once per process.

    The files themselves are hashed, not a version number, so that a `git pull` or an edit is
    noticed without anybody having to remember.
    """
    digest = sha256(getattr(staticfiles_storage, "manifest_hash", "").encode())
    for app in ("site", "lessons", "tutor", "quant"):
        for path in sorted((settings.BASE_DIR / app).rglob("*")):
            if path.suffix in (".py", ".html"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
