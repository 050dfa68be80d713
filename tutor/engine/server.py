"""The engine's endpoints, as OpenAI's clients expect them."""

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from jinja2 import TemplateError
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tutor.answer import Reader
from tutor.engine import chat
from tutor.engine.form import ChatForm, Form, TextForm, sse, usage_of
from tutor.engine.job import End, Event, Failure, Job, Token
from tutor.engine.options import BadRequest, max_tokens, sampling, stop_words
from tutor.engine.scheduler import Full, Scheduler, TooLong

logger = logging.getLogger(__name__)
SWITCH_PATIENCE = 120.0  # seconds that running answers have before their model is freed
BODY_LIMIT = 1 << 20
EMBED_LIMIT = 256  # texts in one request
RETRY_AFTER = {"Retry-After": "2"}


@dataclass
class Models:
    """What the endpoints serve, once it is loaded."""

    scheduler: Scheduler
    template: chat.Template
    chat_name: str
    chat_path: str
    reader: Reader
    embed_name: str


class CannotSwitch(RuntimeError):
    """Another chat model can't be used; the message says why."""


class Switch(Protocol):
    """Loads the chat model at a path (None: the usual one) in place of the old."""

    def fits(self, wanted: str | None) -> bool:
        """Whether there is memory for it beside the old one. Raises CannotSwitch: no such file."""

    def load(self, wanted: str | None) -> Models:
        """Takes seconds. Raises CannotSwitch."""

    def keep(self, wanted: str | None) -> None:
        """Remember the choice."""


def application(load: Callable[[], Models], switch: Switch | None = None) -> Starlette:
    """Serve at once; /health and the rest answer 503 until `load` (on a thread) is done."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.models, app.state.retiring = None, None
        app.state.switch, app.state.switching = switch, asyncio.Lock()
        loading = asyncio.get_running_loop().run_in_executor(None, load)
        loading.add_done_callback(partial(_loaded, app))
        yield
        if app.state.models:
            await asyncio.to_thread(app.state.models.scheduler.stop)

    routes = [
        Route("/health", health),
        Route("/model", use_model, methods=["POST"]),
        Route("/v1/models", models),
        Route("/v1/embeddings", embeddings, methods=["POST"]),
        Route("/v1/rerank", rerank, methods=["POST"]),
        Route("/v1/chat/completions", chat_completions, methods=["POST"]),
        Route("/v1/completions", completions, methods=["POST"]),
    ]
    handlers = {
        BadRequest: _bad_request,
        chat.ChatError: _bad_request,
        TooLong: _bad_request,
        CannotSwitch: _bad_request,
        TemplateError: _bad_request,
        Full: _full,
        HTTPException: _http_error,
    }
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)


def _loaded(app: Starlette, loading: "asyncio.Future[Models]") -> None:
    if loading.cancelled():
        return
    if error := loading.exception():
        logger.error("the models can't be loaded: %s", error)
        app.state.failed(error)
    else:
        app.state.models = loading.result()


def _error(status: int, message: str, kind: str, **headers: str) -> JSONResponse:
    error = {"message": message, "type": kind, "param": None, "code": None}
    return JSONResponse({"error": error}, status, headers or None)


async def _bad_request(_request: Request, error: Exception) -> Response:
    return _error(400, str(error), "invalid_request_error")


async def _full(_request: Request, error: Exception) -> Response:
    return _error(503, str(error), "overloaded_error", **RETRY_AFTER)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
    return _error(error.status_code, error.detail, kind, **(error.headers or {}))


async def _ready(request: Request) -> Models:
    state = request.app.state
    if state.models is None and state.switching.locked():
        async with state.switching:  # one model makes room for the next: wait for it
            pass
    found = state.models
    if found is None:
        raise Full("the models are still being loaded")
    return found


async def _body(request: Request) -> dict[str, Any]:
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > BODY_LIMIT:
            raise HTTPException(413, f"a request may have {BODY_LIMIT} bytes at most")
    try:
        body = json.loads(bytes(read))
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


async def health(request: Request) -> Response:
    found = request.app.state.models
    if found is None:
        return JSONResponse({"status": "loading"}, 503, RETRY_AFTER)
    return JSONResponse({"status": "ok", "model": found.chat_name, **found.scheduler.load})


async def use_model(request: Request) -> Response:
    """Ours alone: {"model": path, or null for the usual one}. Nobody's answer is cut short."""
    if request.headers.get("content-type") != "application/json":
        # A browser sends this type to another site only with its leave, which it never gets.
        raise HTTPException(415, "send application/json")
    body = await _body(request)
    wanted = body.get("model")
    if wanted is not None and not isinstance(wanted, str):
        raise BadRequest("'model' must be a path, or null for the usual model")
    state = request.app.state
    if state.switch is None:
        raise CannotSwitch("this engine can't change its model")
    await _ready(request)
    async with state.switching:
        if state.retiring:
            await state.retiring  # two models at most
        await _switch(state, wanted)
        return JSONResponse({"model": state.models.chat_name})


async def _switch(state: State, wanted: str | None) -> None:
    switch, old = state.switch, state.models
    if await asyncio.to_thread(switch.fits, wanted):
        state.models = await asyncio.to_thread(switch.load, wanted)
        state.retiring = asyncio.create_task(_retire(old))
    else:
        before, state.models = old.chat_path, None
        retiring = _retire(old)
        del old  # it is freed with the last reference
        await retiring
        try:
            state.models = await asyncio.to_thread(switch.load, wanted)
        except CannotSwitch:
            state.models = await asyncio.to_thread(switch.load, before)
            raise
    await asyncio.to_thread(switch.keep, wanted)


async def _retire(old: Models) -> None:
    """Let its running answers end, then free it."""
    await asyncio.to_thread(old.scheduler.stop, SWITCH_PATIENCE)
    del old  # a thread may still be tokenizing with it: the last reference frees it
    gc.collect()


async def models(request: Request) -> Response:
    found = await _ready(request)
    names = (found.chat_name, found.embed_name)
    data = [{"id": name, "object": "model", "owned_by": "openbook"} for name in names]
    return JSONResponse({"object": "list", "data": data})


async def embeddings(request: Request) -> Response:
    """Of questions: the tutor's encoder of these, to be compared with the passages' vectors."""
    body = await _body(request)
    found = await _ready(request)
    texts = body.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
        raise BadRequest("'input' must be a text or a list of texts")
    if len(texts) > EMBED_LIMIT:
        raise BadRequest(f"'input' may have {EMBED_LIMIT} texts at most")
    errand = partial(found.reader.embed, texts)
    vectors = await asyncio.wrap_future(found.scheduler.between_steps(errand))
    data = [
        {"object": "embedding", "index": i, "embedding": [round(float(x), 7) for x in vector]}
        for i, vector in enumerate(vectors)
    ]
    count = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return JSONResponse({"object": "list", "data": data, "model": found.embed_name, "usage": usage})


async def rerank(request: Request) -> Response:
    """As other servers have it: {"query", "documents"} -> {"results": [{"index",
    "relevance_score"}, ...]}, the best first; scores as quant.cross_encoder gives them."""
    body = await _body(request)
    found = await _ready(request)
    query, documents = body.get("query"), body.get("documents")
    if not isinstance(query, str) or not isinstance(documents, list) or not documents:
        raise BadRequest("'query' must be a text and 'documents' a list of texts")
    if len(documents) > EMBED_LIMIT or not all(isinstance(d, str) for d in documents):
        raise BadRequest(f"'documents' may have {EMBED_LIMIT} texts at most")
    errand = partial(found.reader.judge, query, documents)
    scores = await asyncio.wrap_future(found.scheduler.between_steps(errand))
    rows = [{"index": i, "relevance_score": round(float(s), 5)} for i, s in enumerate(scores)]
    rows.sort(key=lambda row: -row["relevance_score"])
    return JSONResponse({"object": "list", "model": found.embed_name, "results": rows})


async def chat_completions(request: Request) -> Response:
    body = await _body(request)
    messages = chat.checked(body.get("messages"))
    while True:
        found = await _ready(request)
        prompt = await asyncio.to_thread(found.template.prompt, messages)
        if found is request.app.state.models:  # else switched meanwhile: other tokens
            return await _answer(request, found, body, prompt.prefix, prompt.rest, ChatForm)


async def completions(request: Request) -> Response:
    body = await _body(request)
    text = body.get("prompt")
    if not isinstance(text, str) or not text:
        raise BadRequest("'prompt' must be a text that is not empty")
    while True:
        found = await _ready(request)
        model = found.scheduler.model
        chat.check_length(model, len(text))
        tokens = await asyncio.to_thread(model.tokenize, text, add_special=True)
        if found is request.app.state.models:
            return await _answer(request, found, body, (), tuple(tokens), TextForm)


async def _answer(
    request: Request,
    found: Models,
    body: dict[str, Any],
    prefix: tuple[int, ...],
    rest: tuple[int, ...],
    form: "type[Form]",
) -> Response:
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Event] = asyncio.Queue()
    context = min(found.scheduler.context.n_ctx, found.scheduler.model.n_ctx_train)
    job = Job(
        prefix,
        rest,
        sampling(body),
        max_tokens(body, context - len(prefix) - len(rest)),
        stop_words(body),
        emit=lambda event: loop.call_soon_threadsafe(events.put_nowait, event),
        user=str(body.get("user") or ""),
    )
    found.scheduler.submit(job)
    written = form(found.chat_name)
    if body.get("stream"):
        options = body.get("stream_options") or {}
        usage = isinstance(options, dict) and bool(options.get("include_usage"))
        stream = _stream(found.scheduler, job, events, written, usage)
        return StreamingResponse(stream, media_type="text/event-stream")
    return await _whole(request, found.scheduler, job, events, written)


async def _stream(
    scheduler: Scheduler,
    job: Job,
    events: "asyncio.Queue[Event]",
    form: "Form",
    with_usage: bool,
) -> AsyncIterator[str]:
    """One chunk for each token. When the client goes, this ends early and frees the job."""
    try:
        for chunk in form.opening():
            yield sse(chunk)
        while True:
            event = await events.get()
            if isinstance(event, Token):
                yield sse(form.chunk(event.text))
            elif isinstance(event, End):
                yield sse(form.chunk(None, event.reason))
                if with_usage:
                    yield sse({**form.chunk(None), "choices": [], "usage": usage_of(event)})
                break
            else:
                yield sse({"error": {"message": event.message, "type": "server_error"}})
                break
        yield "data: [DONE]\n\n"
    finally:
        scheduler.cancel(job)


async def _whole(
    request: Request,
    scheduler: Scheduler,
    job: Job,
    events: "asyncio.Queue[Event]",
    form: "Form",
) -> Response:
    gone = asyncio.create_task(_disconnected(request))
    text = []
    try:
        while True:
            event_task = asyncio.ensure_future(events.get())
            await asyncio.wait({event_task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not event_task.done():
                event_task.cancel()
                return Response(status_code=499)  # nobody is there to read it
            event = event_task.result()
            if isinstance(event, Token):
                text.append(event.text)
            elif isinstance(event, Failure):
                return _error(500, event.message, "server_error")
            else:
                return JSONResponse(form.whole("".join(text), event.reason, usage_of(event)))
    finally:
        gone.cancel()
        scheduler.cancel(job)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
