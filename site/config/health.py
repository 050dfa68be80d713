"""What /healthz says: each part asked for itself, none believed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import redis
from django.conf import settings
from django.db import connection

from config.celery import app as celery_app

SECONDS = 2  # a part that needs longer to answer is not ok


def database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    finally:
        connection.close()  # each part is asked on a thread of its own
    return "ok"


def lessons() -> str:
    from lessons.models import Lesson

    try:
        found = Lesson.objects.exists()
    finally:
        connection.close()
    return "ok" if found else "no lessons loaded: run 'manage.py load_lessons'"


def redis_server() -> str:
    with redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=SECONDS, socket_connect_timeout=SECONDS
    ) as client:
        client.ping()
    return "ok"


def worker() -> str:
    redis_server()  # a Redis that hangs would hang the question to the worker too
    limits = {"socket_timeout": SECONDS + 1, "socket_connect_timeout": SECONDS}
    with celery_app.connection_for_write(transport_options=limits) as broker:
        broker.ensure_connection(max_retries=0, timeout=SECONDS)
        # limit=1: the first answer is enough, so only a dead worker costs the whole time-out.
        answers = celery_app.control.ping(timeout=SECONDS, limit=1, connection=broker)
    return "ok" if answers else "no worker answers"


def engine() -> str:
    answer = httpx.get(f"{settings.ENGINE_URL}/health", timeout=SECONDS)
    return "ok" if answer.status_code == 200 else "still loading its models"


def models() -> str:
    from quant import registry

    missing = [name for name, entry in registry.entries().items() if not entry.target.is_file()]
    if missing:
        return f"missing {', '.join(missing)}: run 'manage.py fetch_models'"
    return "ok"


PARTS: dict[str, Callable[[], str]] = {
    "database": database,
    "redis": redis_server,
    "worker": worker,
    "engine": engine,
    "models": models,
    "lessons": lessons,
}


def _ask(part: Callable[[], str]) -> str:
    try:
        return part()
    except Exception as error:
        return f"{type(error).__name__}: {error}".strip(": ")


def report() -> tuple[dict[str, str], bool]:
    """Every part's state, and whether lessons can be served."""
    with ThreadPoolExecutor(len(PARTS)) as pool:
        states = dict(zip(PARTS, pool.map(_ask, PARTS.values()), strict=True))
    return states, states["database"] == states["lessons"] == "ok"
