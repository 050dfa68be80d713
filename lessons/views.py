import json
from hashlib import sha256

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import quote_etag
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_cookie, vary_on_headers

from config.htmx import HtmxRequest
from config.release import release
from lessons import guide, preview, quiz, reading
from lessons import search as finding
from lessons.models import Lesson

TUTOR_PANELS = ("tutor/panel.html", "lessons/parts/no_tutor.html")


def _fresh(response: HttpResponse) -> HttpResponse:
    patch_cache_control(response, private=True, no_cache=True)
    return response


def _etag(request: HttpRequest, *parts: str) -> str:
    """Of what the page shows and to whom, not of its bytes: masked CSRF tokens always differ.

    The CSRF secret is the reader's state: a kept page is only good with the secret it was made
    for, or its forms would be refused.
    """
    get_token(request)
    mine = (release(), request.META["CSRF_COOKIE"], str(request.user.pk), *parts)
    return quote_etag(sha256(" ".join(mine).encode()).hexdigest()[:32])


@gzip_page
@vary_on_cookie
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    chosen = (request.GET.get(name, "") for name in ("track", "topic", "page"))
    page = reading.home(*chosen)
    return _fresh(render(request, "lessons/home.html", {"home": page}))


@gzip_page
@vary_on_cookie
@require_safe
def lesson(request: HttpRequest, slug: str) -> HttpResponse:
    page = _lesson_page(slug)
    etag = _etag(request, page.fingerprint)
    response = get_conditional_response(request, etag=etag)
    if response is None:
        attempt = quiz.blank(quiz.questions_of(page.lesson))
        context = {"page": page, "attempt": attempt, "tutor_panels": TUTOR_PANELS}
        response = render(request, "lessons/lesson.html", context)
    response["ETag"] = etag
    return _fresh(response)


@gzip_page
@vary_on_headers("Cookie", "HX-Request")
@require_http_methods(["GET", "HEAD", "POST"])
def take_quiz(request: HtmxRequest, slug: str) -> HttpResponse:
    """GET: the questions on a page of their own. POST: the result, or what is still missing."""
    page = _lesson_page(slug)
    questions = quiz.questions_of(page.lesson)
    context = {"page": page, "attempt": quiz.blank(questions)}
    status = 200
    if request.method == "POST":
        try:
            attempt = quiz.read(questions, request.POST)
        except quiz.NotThisQuiz as error:
            context["problem"], status = str(error), 400
        else:
            identity = quiz.attempt_id(request.POST)
            context["attempt"], context["sent"] = attempt, True
            if attempt.complete:
                context["event"] = json.dumps(quiz.scored_event(slug, attempt, identity))
    name = "lessons/parts/quiz.html" if request.htmx else "lessons/quiz.html"
    return _fresh(render(request, name, context, status=status))


def _lesson_page(slug: str) -> reading.LessonPage:
    try:
        return reading.lesson_page(slug)
    except Lesson.DoesNotExist as missing:
        raise Http404(f"There is no lesson called {slug}.") from missing


@gzip_page
@vary_on_cookie
@require_safe
def authors(request: HttpRequest) -> HttpResponse:
    return _fresh(render(request, "lessons/authors.html", {"guide": guide.authors_guide()}))


@gzip_page
@vary_on_headers("Cookie", "HX-Request")
@require_safe
def search(request: HtmxRequest) -> HttpResponse:
    page = request.GET.get("page", "")
    results = finding.search(
        request.GET.get("q", ""), int(page) if page.isdecimal() and len(page) < 6 else 1
    )
    whole = not request.htmx or request.htmx.history_restore_request
    name = "lessons/search.html" if whole else "lessons/parts/results.html"
    return _fresh(render(request, name, {"results": results}))


@never_cache
@require_safe
def preview_page(request: HttpRequest) -> HttpResponse:
    """The lesson that `manage.py preview` shows; there is none on a site that others read."""
    if not settings.PREVIEW_DIR:
        raise Http404("Start a preview with manage.py preview LESSON.")
    found = preview.read(settings.PREVIEW_DIR, settings.LESSONS_DIR)
    return render(request, "lessons/preview.html", {"preview": found, "page": found.page})


@never_cache
@require_safe
def preview_version(request: HttpRequest) -> HttpResponse:
    if not settings.PREVIEW_DIR:
        raise Http404("Start a preview with manage.py preview LESSON.")
    now = preview.version(settings.PREVIEW_DIR, settings.LESSONS_DIR)
    return HttpResponse(now, content_type="text/plain")
