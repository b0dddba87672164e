"""The endpoint of a model: reached at its own address where that can be seen from here, else through the API server's proxy.

The proxy (`services/proxy`) needs no listening port and no program beside this one. It takes the API key as X-API-Key: the header
Authorization is the API server's own.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp

from scoring_cli.cluster import Answer, Cluster
from scoring_cli.errors import EndpointError, ModelNotReady
from scoring_cli.standing import read_standing
from scoring_operator.kinds import SCORING_MODEL, SERVICE, find_path

TIMEOUT_SECONDS = 60.0
KEY_HEADER = "X-API-Key"
RESULT_PARTS = 2
CLUSTER_DOMAIN = ".svc"
"""What only a Service's name inside the cluster ends in."""


@dataclass(frozen=True)
class Payload:
    """The body of a request, and how it is to be read."""

    body: bytes = field(repr=False)
    content_type: str = "application/json"


class Endpoint(Protocol):
    """Where a model is asked."""

    @property
    def way(self) -> str:
        """How it is reached, for people."""

    async def ask(self, payload: Payload) -> Answer:
        """Return the answer to one request, whatever its status. Raises EndpointError without any."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class DirectEndpoint:
    """An endpoint at a URL."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url = url.rstrip("/")
        self._headers = {KEY_HEADER: key} if key else {}
        self._session: aiohttp.ClientSession | None = None

    @property
    def way(self) -> str:
        """How it is reached."""
        return f"at {self._url}"

    async def ask(self, payload: Payload) -> Answer:
        """Return the answer to one request."""
        if self._session is None:
            raise EndpointError("the endpoint is not open")
        headers = {**self._headers, "Content-Type": payload.content_type}
        try:
            async with self._session.post(f"{self._url}/score", data=payload.body, headers=headers) as response:
                return Answer(response.status, await response.read(), dict(response.headers))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise EndpointError(
                f"{self._url} does not answer: {error or type(error).__name__}. Is the address right, and reached from here?"
            ) from error

    async def __aenter__(self) -> Self:
        """Open connections, as many as are used at once."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0), trust_env=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
        if self._session is not None:
            await self._session.close()


class ProxiedEndpoint:
    """An endpoint behind the API server's proxy of its Service."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, key: str | None) -> None:
        self._cluster = cluster
        self._name = name
        self._headers = {KEY_HEADER: key} if key else {}
        self._path = find_path(SERVICE, namespace, f"{name}:80", "proxy", "score")

    @property
    def way(self) -> str:
        """How it is reached."""
        return f"through the API server's proxy of Service {self._name}"

    async def ask(self, payload: Payload) -> Answer:
        """Return the answer to one request."""
        headers = {**self._headers, "Content-Type": payload.content_type}
        return await asyncio.to_thread(self._cluster.pass_on, "POST", self._path, payload.body, headers)

    async def __aenter__(self) -> Self:
        """Return itself: the cluster keeps the connections."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the connections to the cluster."""


def find_endpoint(cluster: Cluster, name: str, key: str | None) -> Endpoint:
    """Return the endpoint of a model by its name. Raises ModelNotReady, with the reason, when it has no address."""
    standing = read_standing(cluster.get(SCORING_MODEL, name))
    if standing.url is None:
        raise ModelNotReady(f"{name} has no address yet: {standing.reason}: {standing.message}")
    if is_inside(standing.url):
        return ProxiedEndpoint(cluster, standing.namespace, name, key)
    return DirectEndpoint(standing.url, key)


def is_inside(url: str) -> bool:
    """Tell whether a URL leads somewhere only inside the cluster."""
    host = url.partition("://")[2].partition("/")[0].partition(":")[0]
    return host.endswith(CLUSTER_DOMAIN)


def read_answer(answer: Answer) -> Any:  # noqa: ANN401  # JSON
    """Return the JSON of an answer: an object whose `result` is a pair, what the model says and how long it took.

    Raises EndpointError, with the endpoint's own words, for a status that is an error and for what is no model's answer.
    """
    said = answer.body.decode(errors="replace")[:300]
    try:
        body = json.loads(answer.body)
    except ValueError as error:
        raise EndpointError(f"The answer ({answer.status}) is no JSON: {said}") from error
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise EndpointError(describe_refusal(answer.status, body))
    if not is_result(body):
        raise EndpointError(
            f"The answer ({answer.status}) has no result, as a model's has. Is the address that of a model? It says: {said}"
        )
    return body


def is_result(body: object) -> bool:
    """Tell whether JSON is what `/score` answers."""
    result = body.get("result") if isinstance(body, dict) else None
    return isinstance(result, list) and len(result) == RESULT_PARTS


def describe_refusal(status: int, body: object) -> str:
    """Return what an error says: the runtime's code and message, or the API server's message."""
    said: Mapping[str, Any] = body if isinstance(body, dict) else {}
    error = said.get("error")
    if isinstance(error, dict):
        remedy = " Give one by --key-file or --key-secret." if status == HTTPStatus.UNAUTHORIZED else ""
        return f"{status} {error.get('code')}: {error.get('message')}{remedy}"
    return f"{status}: {said.get('message', body)}"
