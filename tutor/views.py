import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from lessons import quiz, reading
from lessons.models import Lesson
from lessons.views import TUTOR_PANELS
from tutor import asking, limits, remote
from tutor.answer import Answer
from tutor.intents import LIMIT

Exchange = dict[str, object]


@never_cache
@require_safe
def tutor(request: HttpRequest, slug: str) -> HttpResponse:
    """A question asked: the lesson's page with the answer in the margin, or for htmx a piece of
    the margin that opens the stream the answer comes through."""
    question, previous = _asked(request)
    if request.htmx:  # type: ignore[attr-defined]
        get_object_or_404(Lesson.objects.only("pk"), slug=slug)
        query = urlencode({"q": question, "previous": previous})
        address = f"{reverse('tutor_stream', args=[slug])}?{query}"
        problem = _problem(question)
        exchange: Exchange = {"question": question[:LIMIT], "stream": address, "problem": problem}
        return render(request, "tutor/exchange.html", {"exchange": exchange})
    return _whole_page(request, slug, question, previous)


def _whole_page(request: HttpRequest, slug: str, question: str, previous: str) -> HttpResponse:
    try:
        page = reading.lesson_page(slug)
    except Lesson.DoesNotExist as missing:
        raise Http404(f"There is no lesson called {slug}.") from missing
    problem = _problem(question) or _too_fast(request)
    exchange: Exchange = {"question": question[:LIMIT], "problem": problem}
    if not problem:
        exchange["answer"] = asking.whole(slug, question, remote.reader, previous).answer
    context = {
        "page": page,
        "attempt": quiz.blank(quiz.questions_of(page.lesson)),
        "tutor_panels": TUTOR_PANELS,
        "exchange": exchange,
    }
    return render(request, "lessons/lesson.html", context, status=400 if problem else 200)


@never_cache
@require_safe
async def stream(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """The answer as server-sent events: `answer` with its HTML, `written` for each sentence to be
    appended to that (if there are any: writing.py), then `done`."""
    question, previous = _asked(request)
    problem = _problem(question) or _too_fast(request)
    response = StreamingHttpResponse(
        _events(slug, question, previous, problem), content_type="text/event-stream"
    )
    response["X-Accel-Buffering"] = "no"  # a proxy in front must not hold pieces back
    return response


async def _events(slug: str, question: str, previous: str, problem: str) -> AsyncIterator[str]:
    if problem:
        yield _event("answer", await _piece({"problem": problem}))
    else:
        try:
            answer = await sync_to_async(_answer)(slug, question, previous)
            writes = asking.will_write(answer)
            exchange: Exchange = {"answer": answer, "question": question, "writes": writes}
            yield _event("answer", await _piece(exchange))
            if writes:
                of_lesson = await sync_to_async(asking.of)(slug)
                async with aclosing(asking.written(question, *of_lesson, answer)) as sentences:
                    async for sentence in sentences:
                        yield _event("written", format_html("<span>{} </span>", sentence))
        except Exception:
            asking.logger.exception("the tutor failed")
            said = "Something went wrong while looking. Please ask again."
            yield _event("answer", await _piece({"problem": said}))
    yield _event("done", "")


def _answer(slug: str, question: str, previous: str) -> Answer:
    return asking.ask(slug, question, remote.reader, previous).answer


async def _piece(exchange: Exchange) -> str:
    render_piece = sync_to_async(render_to_string)
    return await render_piece("tutor/answer.html", {"exchange": exchange})


def _event(name: str, html: str) -> str:
    lines = "".join(f"data: {line}\n" for line in html.strip().split("\n"))
    return f"event: {name}\n{lines}\n"


def _asked(request: HttpRequest) -> tuple[str, str]:
    question = request.GET.get("q", "").replace("\0", "").strip()
    return question, request.GET.get("previous", "").replace("\0", "")[:LIMIT]


def _problem(question: str) -> str:
    """What is wrong with the question as such; empty if nothing is."""
    if not question:
        return "Type a question about this lesson first."
    if len(question) > LIMIT:
        return (
            f"That question has {len(question):,} characters; the tutor reads {LIMIT:,} at most. "
            "Please ask it more briefly."
        )
    return ""


def _too_fast(request: HttpRequest) -> str:
    get_token(request)  # the cookie that tells one browser from another
    address = request.META.get("REMOTE_ADDR", "")
    browser = request.COOKIES.get("csrftoken") or address
    wait = max(limits.browsers.wait(browser), limits.addresses.wait(address))
    if not wait:
        return ""
    return f"That was quick! Please wait {math.ceil(wait)} seconds before the next question."
