"""The review page. A browser sends the answers that it holds; without scripts an account's are
taken from the server."""

import json
import uuid
from datetime import UTC, datetime

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_http_methods, require_POST

from lessons import events, review, sync
from lessons.quiz import Asked, attempt_id


def _now() -> datetime:
    return datetime.now(UTC)


@ensure_csrf_cookie  # scripts send what they hold, even where the page has no form yet
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def review_page(request: HttpRequest) -> HttpResponse:
    """GET: the page. POST: one answer, graded."""
    fragment = "X-Fragment" in request.headers
    page = "lessons/parts/review.html" if fragment else "lessons/review.html"
    context: dict[str, object] = {}
    if request.method == "POST":
        form = request.POST
        asked = review.answered(
            form.get("lesson", ""), form.get("question", ""), form.get("choice", "")
        )
        if asked is None:
            context["problem"] = "Choose one of the answers first."
            return render(request, page, context, status=400)
        event = _event(asked, attempt_id(form))
        if not fragment and request.user.is_authenticated:  # no scripts: the server keeps it
            whole = event | {"id": event.get("id") or str(uuid.uuid4()), "at": _stamp()}
            sync.keep(request.user, [events.parse(whole)])
        context |= {"asked": asked, "event": json.dumps(event)}
    elif request.user.is_authenticated:
        known = events.history(sync.events_of(request.user))
        context["review"] = review.review(known, _now())
    return render(request, page, context)


@require_POST
@never_cache
def review_due(request: HttpRequest) -> HttpResponse:
    """What is due, of the answers that the browser sends; "until" is the end of its day."""
    try:
        body = sync.parse_json(request.body, limit=None)
        sent = body if isinstance(body, dict) else {}
        history = review.read_history(sent.get("answers"))
        until = datetime.fromtimestamp(float(sent.get("until", 0)) / 1000, UTC)
    except (ValueError, TypeError, OverflowError, OSError, RequestDataTooBig) as error:
        return HttpResponse(str(error), status=400, content_type="text/plain")
    found = review.review(history, until)
    return render(request, "lessons/parts/review.html", {"review": found})


def _stamp() -> str:
    return _now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(asked: Asked, identity: str) -> dict[str, object]:
    chosen = asked.chosen.position if asked.chosen else 0
    data = {"question": asked.question.key, "choice": chosen, "right": asked.right}
    slug = asked.question.lesson.slug
    event: dict[str, object] = {"type": "review.answered", "lesson": slug, "data": data}
    return event | ({"id": identity} if identity else {})
