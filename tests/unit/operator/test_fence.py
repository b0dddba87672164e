"""What a process that does not lead sends to the API server: reads, and no writes."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from scoring_operator.api import Manifest
from scoring_operator.clock import ClusterClock
from scoring_operator.cluster import Cluster, build_fence
from scoring_operator.connection import Access
from scoring_operator.errors import ClusterError, NotLeading
from scoring_operator.kinds import SCORING_MODEL, SERVICE, Scope
from web_servers import serve

pytestmark = pytest.mark.asyncio

BODY: Manifest = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "faq", "namespace": "team", "uid": "1", "resourceVersion": "1", "generation": 1},
}


@asynccontextmanager
async def open_fenced(check_may_write: Callable[[], None]) -> AsyncIterator[tuple[Cluster, list[str]]]:
    """Yield a fenced connection, and the methods of the requests that have arrived."""
    arrived: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        arrived.append(request.method)
        await request.read()
        return web.json_response({})

    async with serve(answer) as url:
        access = Access(url, ssl.create_default_context())
        cluster = await Cluster.connect(lambda: access, Scope(), ClusterClock(), [build_fence(check_may_write)])
        try:
            yield cluster, arrived
        finally:
            await cluster.close()


async def write_all(cluster: Cluster) -> list[type[Exception] | None]:
    """Try every way to write; return what each of them raised."""
    writes = (
        lambda: cluster.apply(SERVICE, BODY),
        lambda: cluster.apply_new(SERVICE, BODY),
        lambda: cluster.create(SERVICE, BODY),
        lambda: cluster.update(SERVICE, BODY),
        lambda: cluster.delete(SERVICE, BODY),
        lambda: cluster.write_status(SCORING_MODEL, BODY, {"replicas": 1}),
        lambda: cluster.post_event(BODY, "Normal", "Serving", "2 of 2 replicas ready."),
    )
    raised: list[type[Exception] | None] = []
    for write in writes:
        try:
            await write()
        except ClusterError as error:
            raised.append(type(error))
        else:
            raised.append(None)
    return raised


async def test_leader_writes() -> None:
    async with open_fenced(lambda: None) as (cluster, arrived):
        assert await write_all(cluster) == [None] * 7
        assert arrived == ["PATCH", "PATCH", "POST", "PUT", "DELETE", "PATCH", "POST"]


async def test_follower_reads_and_does_not_write() -> None:
    def refuse() -> None:
        raise NotLeading("not now")

    async with open_fenced(refuse) as (cluster, arrived):
        assert await write_all(cluster) == [NotLeading] * 7
        assert await cluster.get(SERVICE, "team", "faq") == {}
        assert arrived == ["GET"]


async def test_write_that_was_held_up_on_its_way_is_not_sent() -> None:
    asked: list[None] = []

    def refuse_the_second_time() -> None:
        asked.append(None)
        if len(asked) % 2 == 0:
            raise NotLeading("not any more")

    async with open_fenced(refuse_the_second_time) as (cluster, arrived):
        assert await write_all(cluster) == [ClusterError] * 7
        assert len(asked) == 14
        assert arrived == []
