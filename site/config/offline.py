"""The service worker's file: what it keeps is named by the release, so an update replaces it."""

import json

from django.conf import settings
from django.templatetags.static import static

from config.release import release

STATIC = settings.BASE_DIR / "site" / "static"
KINDS = ("css/*.css", "js/*.js", "icons/*")
SCRIPTS = ("django_htmx/htmx-2.min.js", "django_htmx/ext/hx-sse-2.min.js")


def service_worker() -> str:
    ours = [str(path.relative_to(STATIC)) for kind in KINDS for path in sorted(STATIC.glob(kind))]
    shell = [static(name) for name in (*ours, *SCRIPTS) if name != "js/service-worker.js"]
    code = (STATIC / "js" / "service-worker.js").read_text(encoding="utf-8")
    return f"const RELEASE = {json.dumps(release())};\nconst SHELL = {json.dumps(shell)};\n{code}"
