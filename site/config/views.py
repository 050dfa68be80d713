from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

from config import health


@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    parts, serving = health.report()
    status = "ok" if all(state == "ok" for state in parts.values()) else "degraded"
    if not serving:
        status = "down"
    return JsonResponse({"status": status, "parts": parts}, status=200 if serving else 503)
