"""Progress over HTTP: sync, export, import."""

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from lessons import sync


def _refused(status: int, why: str) -> JsonResponse:
    return JsonResponse({"error": why}, status=status)


@require_POST
@never_cache
def progress_sync(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return _refused(401, "sign in to sync")
    try:
        answer = sync.sync(request.user, sync.parse_request(request.body))
    except (sync.TooLarge, RequestDataTooBig) as error:
        return _refused(413, str(error))
    except sync.BadRequest as error:
        return _refused(400, str(error))
    return JsonResponse(answer.as_json())
