"""The engine, asked over HTTP: the web process loads no model."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from tutor.answer import NoReader

logger = logging.getLogger(__name__)

SECONDS = 3.0  # a question takes tens of milliseconds; longer means that something is wrong
PAUSE = 3.0  # how long a silent engine is not asked again


class Remote:
    """answer.Reader by way of the engine's endpoints."""

    def __init__(self) -> None:
        self._client = httpx.Client(timeout=httpx.Timeout(SECONDS, connect=0.5))
        self._silent_until = 0.0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        data = self._ask("/v1/embeddings", {"input": list(texts)})["data"]
        return np.array([row["embedding"] for row in data], np.float32)

    def judge(self, question: str, passages: Sequence[str]) -> NDArray[np.float64]:
        found = self._ask("/v1/rerank", {"query": question, "documents": list(passages)})
        scores = np.zeros(len(passages))
        for row in found["results"]:
            scores[row["index"]] = row["relevance_score"]
        return scores

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if time.monotonic() < self._silent_until:
            raise NoReader("the engine did not answer a moment ago")
        try:
            response = self._client.post(settings.ENGINE_URL + path, json=body)
            response.raise_for_status()
            return response.json()
        except (httpx.HTTPError, ValueError) as error:
            self._silent_until = time.monotonic() + PAUSE
            logger.info("answering without the engine: %s", error or type(error).__name__)
            raise NoReader(str(error)) from error


reader = Remote()
