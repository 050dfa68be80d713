"""Progress over HTTP: sync, export, import."""

import json

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from lessons import export, reading, sync


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
    except sync.Deleted as error:
        return _refused(410, str(error))
    return JsonResponse(answer.as_json())


@require_safe
@never_cache
def progress_deleted(request: HttpRequest) -> HttpResponse:
    """Which of the logs that a browser holds (?log=…, repeated) belong to deleted accounts.

    Asked signed out as well: a deleted account's devices can't sign in any more.
    """
    return JsonResponse({"deleted": sync.deleted(request.GET.getlist("log")[:100])})


@require_safe
@never_cache
def progress_page(request: HttpRequest) -> HttpResponse:
    return render(request, "lessons/progress.html", {"tracks": reading.by_track()})


@require_http_methods(["GET", "POST"])
@never_cache
def progress_export(request: HttpRequest) -> HttpResponse:
    """GET: everything about the learner; ?format=xapi gives the statements alone.

    POST, for a browser that is not signed in: the xAPI statements of the file that it sends.
    """
    site = request.build_absolute_uri("/").rstrip("/")
    if request.method == "POST":
        try:
            events, _ = export.parse_file(_file(request))
        except sync.BadRequest as error:
            return _refused(400, str(error))
        except RequestDataTooBig as error:
            return _refused(413, str(error))
        return _download(export.statements({}, events, site), xapi=True)
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    learner = {"username": request.user.get_username(), "email": request.user.email}
    content = export.document(learner, sync.events_of(request.user), site)
    xapi = request.GET.get("format") == "xapi"
    return _download(content["statements"] if xapi else content, xapi)


def _file(request: HttpRequest) -> bytes:
    """Sent as the form field `file`, or as the body."""
    upload = request.FILES.get("file")
    return upload.read() if upload else request.body


def _download(content: object, xapi: bool) -> HttpResponse:
    name = "openbook-xapi.json" if xapi else "openbook-progress.json"
    text = json.dumps(content, indent=1)
    return HttpResponse(
        text,
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_POST
@never_cache
def progress_import(request: HttpRequest) -> HttpResponse:
    """A file that was exported. Signed out, its checked events go back to the browser, which
    keeps them."""
    try:
        good, rejected = export.parse_file(_file(request))
    except sync.BadRequest as error:
        return _refused(400, str(error))
    except RequestDataTooBig as error:
        return _refused(413, str(error))
    if not request.user.is_authenticated:
        return JsonResponse({"events": [it.as_json() for it in good], "rejected": rejected})
    added = sync.keep(request.user, good)
    if "text/html" in request.headers.get("Accept", ""):  # a form sent without scripts
        messages.success(request, f"{added} new steps were imported.")
        return redirect("progress")
    return JsonResponse({"added": added, "known": len(good) - added, "rejected": rejected})


@login_required
@require_http_methods(["GET", "POST"])
@never_cache
def delete_account(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return render(request, "lessons/delete_account.html")
    account = request.user
    assert isinstance(account, User)  # login_required
    logout(request)
    sync.delete_account(account)
    return redirect("home")
