"""Progress over HTTP: sync, export, import."""

import json

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from lessons import export, sync


class SignedIn(HttpRequest):
    user: User


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
    except sync.SomebodyElse as error:
        return _refused(409, str(error))
    return JsonResponse(answer.as_json())


@require_GET
@login_required
@never_cache
def progress_export(request: SignedIn) -> HttpResponse:
    """Everything about the learner: ?format=xapi gives the statements alone."""
    learner = {"username": request.user.get_username(), "email": request.user.email}
    site = request.build_absolute_uri("/").rstrip("/")
    content = export.document(learner, sync.events_of(request.user), site)
    xapi = request.GET.get("format") == "xapi"
    return _download(content["statements"] if xapi else content, xapi)


def _download(content: object, xapi: bool) -> HttpResponse:
    name = "openbook-xapi.json" if xapi else "openbook-progress.json"
    text = json.dumps(content, indent=1)
    return HttpResponse(
        text,
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_POST
@login_required
def progress_import(request: SignedIn) -> HttpResponse:
    """A file that progress_export wrote: as the body, or as the form field `file`."""
    upload = request.FILES.get("file")
    try:
        good, rejected = export.parse_file(upload.read() if upload else request.body)
    except sync.BadRequest as error:
        return _refused(400, str(error))
    except RequestDataTooBig as error:
        return _refused(413, str(error))
    added = sync.keep(request.user, good)
    return JsonResponse({"added": added, "known": len(good) - added, "rejected": rejected})
