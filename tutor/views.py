import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from lessons import quiz, reading
from lessons.models import Lesson
from lessons.views import TUTOR_PANELS
from tutor import asking, feedback, limits, remote
from tutor.answer import Answer
from tutor.intents import LIMIT
from tutor.quizhelp import Helped

Exchange = dict[str, object]
HINTS = 200  # hints of a conversation that are counted
LOOKED_FOR = "Something went wrong while looking. Please ask again."


@dataclass(frozen=True)
class Asked:
    """A question as it came in: its text, the question before it, the hints so far."""

    question: str
    previous: str
    helped: Helped

    @classmethod
    def of(cls, request: HttpRequest) -> "Asked":
        sent = {name: str(value).replace("\0", "") for name, value in request.GET.items()}
        hints = tuple(sent.get("hints", "").split()[-HINTS:])
        return cls(
            sent.get("q", "").replace("\r\n", "\n").strip(),
            sent.get("previous", "")[:LIMIT],
            Helped(hints, sent.get("graded") == "1"),
        )

    @property
    def problem(self) -> str:
        """What is wrong with the question as such; empty if nothing is."""
        if not self.question:
            return "Type a question about this lesson first."
        if len(self.question) > LIMIT:
            return (
                f"That question has {len(self.question):,} characters; the tutor reads {LIMIT:,} "
                "at most. Please ask it more briefly."
            )
        return ""

    def hints_after(self, answer: Answer) -> str:
        return " ".join([*self.helped.hints, *([answer.about] if answer.about else [])])


@never_cache
@require_safe
def tutor(request: HttpRequest, slug: str) -> HttpResponse:
    """A question asked without scripts: the lesson's page with the answer in the margin."""
    try:
        page = reading.lesson_page(slug)
    except Lesson.DoesNotExist as missing:
        raise Http404(f"There is no lesson called {slug}.") from missing
    asked = Asked.of(request)
    exchange: Exchange = {"slug": slug, "question": asked.question, "previous": asked.previous}
    exchange["hints"] = " ".join(asked.helped.hints)
    status, wait = 200, 0.0
    if problem := asked.problem:
        status = 400
    elif wait := _wait(request):
        problem, status = too_fast(wait), 429
    if problem:
        exchange |= {"problem": problem, "kept": asked.question}
    else:
        found = asking.whole(slug, asked.question, remote.reader, asked.previous, asked.helped)
        exchange |= {"answer": found.answer, "previous": asked.question}
        exchange["hints"] = asked.hints_after(found.answer)
    context = {
        "page": page,
        "attempt": quiz.blank(quiz.questions_of(page.lesson)),
        "tutor_panels": TUTOR_PANELS,
        "exchange": exchange,
    }
    response = render(request, "lessons/lesson.html", context, status=status)
    return _told_to_wait(response, wait)


@never_cache
@require_safe
async def stream(request: HttpRequest, slug: str) -> HttpResponse | StreamingHttpResponse:
    """The answer as server-sent events: `answer` with its HTML, `written` for each sentence to be
    appended to that (if there are any: writing.py), then `done`. A question that can't be looked
    for is answered with 400 or 429 and the HTML that says why. Closing the connection stops all
    work on it."""
    asked = Asked.of(request)
    if problem := asked.problem:
        return HttpResponse(await _piece({"problem": problem}), status=400)
    if wait := _wait(request):
        said = await _piece({"problem": too_fast(wait)})
        return _told_to_wait(HttpResponse(said, status=429), wait)
    response = StreamingHttpResponse(_events(slug, asked), content_type="text/event-stream")
    response["X-Accel-Buffering"] = "no"  # a proxy in front must not hold pieces back
    return response


async def _events(slug: str, asked: Asked) -> AsyncIterator[str]:
    try:
        answer = await sync_to_async(_answer)(slug, asked)
        writes = asking.will_write(answer)
        exchange: Exchange = {"slug": slug, "answer": answer, "writes": writes}
        yield _event("answer", await _piece(exchange))
        if writes:
            of_lesson = await sync_to_async(asking.of)(slug)
            async with aclosing(asking.written(asked.question, *of_lesson, answer)) as sentences:
                async for sentence in sentences:
                    yield _event("written", format_html("<span>{} </span>", sentence))
    except Exception:
        asking.logger.exception("the tutor failed")
        yield _event("failed", await _piece({"problem": LOOKED_FOR}))
    yield _event("done", "")


def _answer(slug: str, asked: Asked) -> Answer:
    return asking.ask(slug, asked.question, remote.reader, asked.previous, asked.helped).answer


async def _piece(exchange: Exchange) -> str:
    render_piece = sync_to_async(render_to_string)
    return await render_piece("tutor/answer.html", {"exchange": exchange})


def _event(name: str, html: str) -> str:
    lines = "".join(f"data: {line}\n" for line in html.strip().split("\n"))
    return f"event: {name}\n{lines}\n"


@never_cache
@require_POST
def send_feedback(request: HttpRequest, slug: str) -> HttpResponse:
    """Keeps what a learner sent about an answer; 204, or 400 and 429 with a sentence saying why."""
    get_object_or_404(Lesson.objects.only("pk"), slug=slug)
    if wait := _wait(request):
        return _told_to_wait(HttpResponse(too_fast(wait), status=429), wait)
    try:
        feedback.keep(slug, request.POST)
    except feedback.NotFeedback as error:
        return HttpResponse(str(error), status=400)
    return HttpResponse(status=204)


def _wait(request: HttpRequest) -> float:
    """Seconds until this browser may ask."""
    get_token(request)  # the cookie that tells one browser from another
    address = request.META.get("REMOTE_ADDR", "")
    return limits.wait(request.COOKIES.get("csrftoken") or address, address)


def too_fast(seconds: float) -> str:
    whole = math.ceil(seconds)
    return (
        f"That was a lot of questions at once. You can ask again in {whole} "
        f"second{'' if whole == 1 else 's'}; yours is kept."
    )


def _told_to_wait(response: HttpResponse, seconds: float) -> HttpResponse:
    if seconds:
        response["Retry-After"] = str(math.ceil(seconds))
    return response
