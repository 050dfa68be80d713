from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from config import health, offline


@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    parts, serving = health.report()
    status = "ok" if all(state == "ok" for state in parts.values()) else "degraded"
    if not serving:
        status = "down"
    return JsonResponse({"status": status, "parts": parts}, status=200 if serving else 503)


@never_cache
def service_worker(request: HttpRequest) -> HttpResponse:
    """From the root, so that it may serve every page."""
    return HttpResponse(offline.service_worker(), content_type="text/javascript; charset=utf-8")


def no_answer(request: HttpRequest) -> HttpResponse:
    """What the service worker shows in place of a page that it does not keep, without a network."""
    return render(request, "offline.html")
