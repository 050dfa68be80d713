from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """What every view gets: HtmxMiddleware adds request.htmx (true where htmx asks)."""

    htmx: HtmxDetails
