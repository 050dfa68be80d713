"""Refuses an upload by its head: Django would first take in the whole body.

What comes through is written to disk, so only who may upload gets that far, and only so much.
"""

from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import aget_user
from django.core.handlers.asgi import ASGIRequest
from django.utils.module_loading import import_string

from quant import uploads

PATH = "/lab/models/"
App = Callable[[Any, Any, Any], Awaitable[None]]


def gate(application: App) -> App:
    """The application, with bodies that are too much refused before they are read."""

    async def gated(scope: Any, receive: Any, send: Any) -> None:
        refused = await _refusal(scope) if scope["type"] == "http" else None
        if not refused:
            return await application(scope, receive, send)
        status, message = refused
        body = f"{message}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return None

    return gated


async def _refusal(scope: Mapping[str, Any]) -> tuple[int, str] | None:
    is_upload = scope["method"] == "POST" and scope["path"] == PATH
    length = dict(scope["headers"]).get(b"content-length", b"")
    if not is_upload and not length:
        return None
    if not length.isdigit():
        return 411, "An upload must tell its size beforehand (Content-Length)."
    if is_upload and not await _may_upload(scope):
        return 403, "Only a teacher may add models on this site."
    try:
        if is_upload:
            await sync_to_async(uploads.check_size)(int(length))
        elif int(length) > settings.UPLOAD_LIMIT:
            return 413, "That is more than this site takes."
    except uploads.UploadError as error:
        return error.status, str(error)
    return None


async def _may_upload(scope: Mapping[str, Any]) -> bool:
    request = ASGIRequest(scope, BytesIO())
    store = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    request.session = store(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    user = await aget_user(request)
    may = import_string(settings.QUANT_OWNER_PROVIDER)
    return bool(await sync_to_async(may)(user))
