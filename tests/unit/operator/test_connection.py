"""Requests and watches against a server on the loopback that plays the API server."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import pytest
from aiohttp import web

from scoring_operator.clock import ClusterClock
from scoring_operator.connection import Access, Connection, translate
from scoring_operator.errors import ClusterError, Conflict, Expired, NotFound, Rejected
from web_servers import Handle, serve


@asynccontextmanager
async def connect(handle: Handle, tokens: list[str] | None = None) -> AsyncIterator[Connection]:
    """Yield a connection to a server that answers by `handle`; each log-in takes the next token."""
    waiting = iter(tokens or ["token"])
    async with serve(handle) as url:

        def log_in() -> Access:
            return Access(url, ssl.create_default_context(), {"Authorization": next(waiting)})

        connection = Connection(log_in, ClusterClock())
        try:
            yield connection
        finally:
            await connection.close()


def test_request_carries_body_type_and_parameters() -> None:
    async def handle(request: web.Request) -> web.Response:
        told = [request.method, request.path, dict(request.query), request.content_type, await request.json()]
        return web.json_response({"told": told})

    async def ask() -> None:
        async with connect(handle) as connection:
            answer = await connection.request(
                "PATCH", "/apis/x", {"a": "ä"}, {"Content-Type": "application/merge-patch+json"}, force="true"
            )
        parameters = {"force": "true", "fieldValidation": "Ignore"}
        assert answer == {"told": ["PATCH", "/apis/x", parameters, "application/merge-patch+json", {"a": "ä"}]}

    asyncio.run(ask())


def test_time_is_the_servers_when_this_machines_is_another() -> None:
    async def handle(request: web.Request) -> web.Response:
        del request
        return web.json_response({}, headers={"Date": "Sun, 01 Jan 2040 12:00:00 GMT"})

    async def ask() -> datetime.datetime:
        async with connect(handle) as connection:
            await connection.request("GET", "/")
            return connection.clock.now()

    assert asyncio.run(ask()).strftime("%Y-%m-%d %H:%M") == "2040-01-01 12:00"


def test_access_is_found_anew_once_it_is_refused() -> None:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.json_response({}, status=401 if seen[-1] == "old" else 200)

    async def ask() -> None:
        async with connect(handle, ["old", "new"]) as connection:
            await connection.request("GET", "/")
            await connection.request("GET", "/")

    asyncio.run(ask())
    assert seen == ["old", "new", "new"]


@pytest.mark.parametrize(("refusals", "is_answered"), [(4, True), (5, False)])
def test_busy_server_is_asked_again_when_it_says_so_and_not_for_ever(refusals: int, is_answered: bool) -> None:
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        is_busy = len(asked) <= refusals
        return web.json_response({}, status=429 if is_busy else 200, headers={"Retry-After": "0"} if is_busy else {})

    async def ask() -> None:
        async with connect(handle) as connection:
            await connection.request("GET", "/")

    with nullcontext() if is_answered else pytest.raises(ClusterError, match="429"):
        asyncio.run(ask())
    assert len(asked) == 5


@pytest.mark.parametrize("answer", [web.Response, None])
def test_answer_that_is_no_json_and_no_answer_at_all_are_errors_of_the_cluster(
    answer: type[web.Response] | None,
) -> None:
    async def handle(request: web.Request) -> web.Response:
        if answer is None and request.transport is not None:
            request.transport.abort()
        return web.Response(text="<html>")

    async def ask() -> None:
        async with connect(handle) as connection:
            await connection.request("GET", "/")

    with pytest.raises(ClusterError, match="no JSON" if answer else "no answer"):
        asyncio.run(ask())


def test_watch_yields_lines_however_they_are_cut() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.query["allowWatchBookmarks"] == "true"
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in (b'{"type": "A', b'DDED"}\n{"type": "MODIFIED"}\n{"ty', b'pe": "DELETED"}\n'):
            await response.write(chunk)
            await asyncio.sleep(0.01)
        return response

    async def ask() -> list[str]:
        async with connect(handle) as connection:
            return [event["type"] async for event in connection.watch("/", resourceVersion="1")]

    assert asyncio.run(ask()) == ["ADDED", "MODIFIED", "DELETED"]


@pytest.mark.parametrize(("status", "error"), [(410, Expired), (500, ClusterError)])
def test_refused_watch_is_an_error(status: int, error: type[ClusterError]) -> None:
    async def handle(request: web.Request) -> web.Response:
        del request
        return web.json_response({"message": "too old"}, status=status)

    async def ask() -> None:
        async with connect(handle) as connection:
            async for _ in connection.watch("/"):
                pass

    with pytest.raises(error, match="too old"):
        asyncio.run(ask())


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Rejected),
        (403, Rejected),
        (404, NotFound),
        (409, Conflict),
        (410, Expired),
        (422, Rejected),
        (503, ClusterError),
    ],
)
def test_each_status_has_its_error_with_the_servers_words(status: int, error: type[ClusterError]) -> None:
    found = translate("GET", "/x", status, b'{"message": "because"}')
    assert type(found) is error
    assert str(found) == f"GET /x: {status}: because"


@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_denial_of_a_webhook_is_a_refusal_whatever_its_status(status: int) -> None:
    """KEDA's denies with 404 what scales a Deployment that it does not know yet."""
    message = 'admission webhook \\"vscaledobject.kb.io\\" denied the request: deployments.apps \\"faq\\" not found'
    assert type(translate("PATCH", "/x", status, f'{{"message": "{message}"}}'.encode())) is Rejected


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b"\xff"])
def test_refusal_without_words_is_told_too(answer: bytes) -> None:
    assert str(translate("GET", "/x", 500, answer)) == "GET /x: 500: no explanation"
