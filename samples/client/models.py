"""Asks a model of the serving runtime, with the app's key. Above `words`.

The contract is docs/runtime-contract.md: `{"result": [answer, "Computed in X ms"]}`, or `{"error": {"code", "message"}}`.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
import urllib3
from urllib3 import exceptions

from samples.client import words
from samples.client.errors import ModelError

MAX_ANSWER_BYTES = 1024 * 1024
MAX_WAIT_SECONDS = 3600
CONNECT_SECONDS = 3.0

_COMPUTED = re.compile(r"Computed in ([0-9.]+) ms")
_logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Scored:
    """An answer of a model, and how long it says it has taken."""

    answer: Any
    milliseconds: float | None


class Model:
    """A model's endpoint; connections are kept and shared by threads."""

    def __init__(self, url: str, read_key: Callable[[], str | None], timeout_seconds: float) -> None:
        self._url = f"{url}/score"
        self._read_key = read_key
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=timeout_seconds)
        self._pool = urllib3.PoolManager(maxsize=16, retries=False, timeout=timeout)

    def score(self, body: bytes, content_type: str) -> Scored:
        """Return the model's answer to a request's body. Raises ModelError with words for the visitor."""
        try:
            status, headers, content = self._post_again(body, content_type)
        except exceptions.HTTPError as error:
            _logger.warning("model not reached", url=self._url, reason=type(error).__name__)
            raise explain_failure(error) from error
        told = parse(content)
        if status == HTTPStatus.OK:
            return read_result(told)
        refused = told.get("error") if isinstance(told, dict) else None
        code, message = (refused.get("code"), refused.get("message")) if isinstance(refused, dict) else ("", "")
        _logger.warning("model refused", url=self._url, status=status, code=code)
        raise words.explain_status(status, str(code), str(message), read_wait(headers.get("Retry-After")))

    def _post_again(self, body: bytes, content_type: str) -> tuple[int, urllib3.HTTPHeaderDict, bytes]:
        try:
            return self._post(body, content_type)
        except exceptions.ProtocolError:
            # A kept connection may have been closed by the other end just now. Scoring changes nothing, so once more is safe.
            return self._post(body, content_type)

    def _post(self, body: bytes, content_type: str) -> tuple[int, urllib3.HTTPHeaderDict, bytes]:
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        key = self._read_key()
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        answer = self._pool.request(
            "POST", self._url, body=body, headers=headers, redirect=False, preload_content=False
        )
        try:
            content = answer.read(MAX_ANSWER_BYTES + 1)
            # To its end, or the connection would not be used again.
            answer.drain_conn()
        finally:
            answer.release_conn()
        return answer.status, answer.headers, content


def explain_failure(error: exceptions.HTTPError) -> ModelError:
    """Return the words for a request that got no answer."""
    if isinstance(error, exceptions.NewConnectionError | exceptions.ConnectTimeoutError):
        return words.explain(words.NOT_READY, words.NOT_READY_WAIT_SECONDS)
    return words.explain(words.TOO_SLOW if isinstance(error, exceptions.TimeoutError) else words.CUT_OFF)


def parse(content: bytes) -> Any:  # noqa: ANN401  # JSON
    """Return the body as JSON; None when it is none, or too large."""
    try:
        return json.loads(content) if len(content) <= MAX_ANSWER_BYTES else None
    except (ValueError, RecursionError):
        return None


def read_result(told: object) -> Scored:
    """Return the answer in the runtime's shape. Raises ModelError."""
    match told:
        case {"result": [answer, str(computed)]}:
            found = _COMPUTED.fullmatch(computed)
            return Scored(answer, float(found[1]) if found else None)
    raise words.explain(words.NOT_UNDERSTOOD)


def read_wait(value: str | None) -> int | None:
    """Return Retry-After's seconds, an hour at most; None when it is something else."""
    if value is None or not value.isascii() or not value.isdigit():
        return None
    return min(int(value), MAX_WAIT_SECONDS)
