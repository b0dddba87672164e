"""A proxy in front of the API server that does to an operator what networks and overloaded servers do."""

import asyncio
import json
import ssl
import threading
from base64 import b64decode
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import yaml
from aiohttp import web

HOP_HEADERS = {"Authorization", "Content-Type", "Accept", "User-Agent"}
EXPIRED = {
    "type": "ERROR",
    "object": {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": "Expired",
        "code": 410,
        "message": "too old resource version",
    },
}

Fault = Callable[[web.Request], web.Response | None]
"""Answers a request in the API server's place, or returns None to have it passed on."""


def pass_on(_request: web.Request) -> web.Response | None:
    """Pass everything on: no fault."""
    return None


REFUSED_SHARE = 0.3


def refuse_many(status: int, reason: str, *methods: str) -> Fault:
    """Return the fault that answers a share of the requests of some methods, by lot, with an error of the API server's; watches are spared."""
    lots = Random(status)

    def refuse(request: web.Request) -> web.Response | None:
        if request.method not in methods or "watch" in request.query or lots.random() > REFUSED_SHARE:
            return None
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status}
        headers = {"Retry-After": "1"} if status == 429 else {}
        return web.json_response({**body, "message": f"{reason}, says the test"}, status=status, headers=headers)

    return refuse


def expire_watches(request: web.Request) -> web.Response | None:
    """Answer each watch as the API server does when the version that it starts from is too old."""
    if "watch" not in request.query:
        return None
    return web.Response(text=json.dumps(EXPIRED) + "\n", content_type="application/json")


class ApiProxy:
    """Runs on a thread of its own; `fault` may be set at any time, and `requests` counts what has come in."""

    def __init__(self, kubeconfig: Path) -> None:
        """Take the kubeconfig of whom the requests come from; their token is passed on."""
        self._configuration: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
        self._cluster = self._configuration["clusters"][0]["cluster"]
        self.fault: Fault = pass_on
        self.requests = 0
        self._is_cut = False
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.BaseTransport] = set()
        self._port = 0
        self._thread = threading.Thread(target=self._loop.run_forever, name="API proxy", daemon=True)
        self._thread.start()
        self._call(self._start()).result(timeout=30)

    def write_kubeconfig(self, path: Path) -> Path:
        """Write the same kubeconfig with the proxy in the API server's place."""
        cluster = {"server": f"http://127.0.0.1:{self._port}"}
        path.write_text(
            yaml.safe_dump(
                {**self._configuration, "clusters": [{"name": "proxy", "cluster": cluster}]}
                | {
                    "contexts": [
                        {
                            "name": "proxy",
                            "context": {"cluster": "proxy", "user": self._configuration["users"][0]["name"]},
                        }
                    ],
                    "current-context": "proxy",
                }
            )
        )
        return path

    def cut(self) -> None:
        """Break all connections and let none in."""
        self._is_cut = True
        self.break_connections()

    def mend(self) -> None:
        """Let everything through again."""
        self._is_cut = False
        self.fault = pass_on

    def break_connections(self) -> None:
        """Break all connections; new ones are let in."""
        self._loop.call_soon_threadsafe(self._abort_all)

    def close(self) -> None:
        """End the proxy."""
        self.cut()
        self._call(self._stop()).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=30)
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _abort_all(self) -> None:
        for transport in list(self._connections):
            transport.close()

    async def _start(self) -> None:
        authority = (
            b64decode(self._cluster["certificate-authority-data"]).decode()
            if "certificate-authority-data" in self._cluster
            else None
        )
        context = ssl.create_default_context(cafile=self._cluster.get("certificate-authority"), cadata=authority)
        timeout = aiohttp.ClientTimeout(total=None)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=0), timeout=timeout)
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        await self._session.close()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        if transport is None or self._is_cut:
            if transport is not None:
                transport.close()
            raise web.HTTPServiceUnavailable
        self._connections.add(transport)
        self.requests += 1
        return self.fault(request) or await self._forward(request)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name in HOP_HEADERS}
        url = f"{self._cluster['server']}{request.path_qs}"
        body = await request.read()
        async with self._session.request(request.method, url, headers=headers, data=body or None) as upstream:
            answer = web.StreamResponse(status=upstream.status)
            answer.content_type = upstream.content_type
            await answer.prepare(request)
            async for part in upstream.content.iter_any():
                await answer.write(part)
        return answer
