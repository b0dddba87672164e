"""A small asynchronous client of the API server: what the benchmark writes, and the watches by which it sees what comes of it. Lowest layer."""

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson

from benchmarks.serving.errors import BenchmarkError

Manifest = dict[str, Any]
Requests = Counter[tuple[str, str, str]]
"""Numbers of requests by resource, subresource and verb."""

DEPLOYMENTS = "/apis/apps/v1/{}deployments"
SERVICES = "/api/v1/{}services"
AUTOSCALERS = "/apis/autoscaling/v2/{}horizontalpodautoscalers"

_METRICS_GROUP = "metrics.k8s.io"
_MERGE = "application/merge-patch+json"
_REQUESTS = "apiserver_request_total{"
_LINE_BYTES = 2**24
_RETRY_SECONDS = 0.2
_NOT_YET = {HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS}


class ApiServer:
    """One API server, asked as its administrator."""

    def __init__(self, url: str, pki: Path) -> None:
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._url = url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=_LINE_BYTES,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def create(self, path: str, body: Mapping[str, Any]) -> Manifest:
        """Create an object; raises BenchmarkError when the API server refuses it."""
        return await self._ask("POST", path, body, "application/json")

    async def patch(self, path: str, body: Mapping[str, Any]) -> Manifest:
        """Merge a patch into an object."""
        return await self._ask("PATCH", path, body, _MERGE)

    async def delete(self, path: str) -> None:
        """Delete an object."""
        await self._ask("DELETE", path)

    async def get(self, path: str) -> Manifest:
        """Return an object or a list."""
        return await self._ask("GET", path)

    async def watch(self, path: str) -> AsyncIterator[Manifest]:
        """Yield every event of all objects at a path, those that exist included, until the API server ends the watch.

        A kind that was defined just now is refused for a moment: that ends the watch too, after a pause.
        """
        async with self._session.get(f"{self._url}{path}?watch=1") as response:
            if response.status in _NOT_YET:
                await asyncio.sleep(_RETRY_SECONDS)
                return
            response.raise_for_status()
            async for line in response.content:
                yield orjson.loads(line)

    async def count_requests(self) -> Requests:
        """Return how many requests the API server has had so far, by its own metrics."""
        async with self._session.get(f"{self._url}/metrics") as response:
            text = await response.text()
        counts: Requests = Counter()
        for line in text.splitlines():
            if line.startswith(_REQUESTS):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
                if labels["group"] == _METRICS_GROUP:
                    continue  # What pods use: asked for by the autoscalers' controller.
                dry = "?dry" if labels["dry_run"] else ""
                counts[labels["resource"], labels["subresource"], labels["verb"] + dry] += int(line.rpartition(" ")[2])
        return counts

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content_type: str = ""
    ) -> Manifest:
        headers = {"Content-Type": content_type} if content_type else {}
        data = None if body is None else orjson.dumps(body)
        async with self._session.request(method, self._url + path, data=data, headers=headers) as response:
            answer = await response.read()
            if not response.ok:
                raise BenchmarkError(f"{method} {path}: {response.status}: {answer.decode()[:500]}")
            found: Manifest = orjson.loads(answer)
            return found


def find_path(kind: str, namespace: str = "", name: str = "") -> str:
    """Return the path of a kind's objects, such as DEPLOYMENTS: of all namespaces, of one, or of one object."""
    return kind.format(f"namespaces/{namespace}/" if namespace else "") + (f"/{name}" if name else "")
