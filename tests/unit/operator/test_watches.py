"""Watches list first, follow from there, and list again when the thread is lost; played by a cluster that tells what it is asked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from scoring_operator import watch
from scoring_operator.api import Manifest
from scoring_operator.errors import ClusterError, Expired
from scoring_operator.kinds import DEPLOYMENT, POD, SERVICE, Kind, Scope
from scoring_operator.store import Store
from scoring_operator.watches import Watches

Event = tuple[str, Manifest]
Step = Sequence[Event | Exception]


def build(name: str, version: int, uid: str = "1") -> Manifest:
    labels = {"scoring.dev/model": name}
    metadata = {"name": name, "namespace": "team", "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata}


class PlayedCluster:
    """Answers each list and each watch with the next of what was prepared; a watch without any says nothing for ever."""

    def __init__(self, lists: list[tuple[list[list[Manifest]], str]], steps: list[Step]) -> None:
        self._lists = lists
        self._steps = steps
        self.version = 10_000
        self.asked: list[str] = []

    async def list(self, kind: Kind, namespace: str | None) -> AsyncIterator[tuple[list[Manifest], str]]:
        del kind, namespace
        self.asked.append("list")
        pages, version = self._lists.pop(0)
        for page in pages:
            yield page, version

    async def find_version(self, kind: Kind, namespace: str | None) -> int:
        del kind, namespace
        return self.version

    async def watch(self, kind: Kind, namespace: str | None, resource_version: str) -> AsyncIterator[Event]:
        del kind, namespace
        self.asked.append(resource_version)
        for event in self._steps.pop(0) if self._steps else [await asyncio.Future()]:
            if isinstance(event, Exception):
                raise event
            yield event


class Heard:
    """What the watches have told, put into a store as the operator does."""

    def __init__(self) -> None:
        self.store = Store()
        self.changes: list[tuple[str, bool]] = []

    def observe(self, kind: Kind, body: Manifest, is_deleted: bool, listed_at: int) -> None:
        self.changes.append((body["metadata"]["resourceVersion"], is_deleted))
        if is_deleted:
            self.store.remove(kind, body)
        else:
            self.store.put(kind, body, listed_at)


async def follow(cluster: PlayedCluster, heard: Heard, has_come: Callable[[], bool]) -> None:
    """Watch until what is expected has come."""
    watching = Watches(cluster, heard.store, Scope(), heard.observe)  # type: ignore[arg-type]  # it has the two verbs
    await watching.start([DEPLOYMENT])
    async with asyncio.timeout(5):
        while not has_come():
            assert not watching.has_ended()
            await asyncio.sleep(0)
    await watching.stop()


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "RETRY_SECONDS", 0.0)


def test_every_page_of_the_list_is_taken_and_followed_from_the_lists_version() -> None:
    heard = Heard()
    cluster = PlayedCluster([([[build("a", 3)], [build("b", 4)]], "9")], [[("MODIFIED", build("a", 12))]])
    asyncio.run(follow(cluster, heard, lambda: len(cluster.asked) == 3))
    assert heard.changes == [("3", False), ("4", False), ("12", False)]
    assert cluster.asked == ["list", "9", "12"]


def test_bookmark_only_moves_the_version_from_which_the_next_watch_goes_on() -> None:
    heard = Heard()
    bookmark: Any = {"metadata": {"resourceVersion": "40"}}
    cluster = PlayedCluster([([[]], "9")], [[("BOOKMARK", bookmark)]])
    asyncio.run(follow(cluster, heard, lambda: len(cluster.asked) == 3))
    assert heard.changes == []
    assert cluster.asked[-1] == "40"


def test_broken_watch_goes_on_from_where_it_was() -> None:
    heard = Heard()
    steps: list[Step] = [[("ADDED", build("a", 10)), ClusterError("broken off")], [("DELETED", build("a", 11))]]
    cluster = PlayedCluster([([[]], "9")], steps)
    asyncio.run(follow(cluster, heard, lambda: len(heard.changes) == 2))
    assert heard.changes == [("10", False), ("11", True)]
    assert cluster.asked[:3] == ["list", "9", "10"]


def test_deletion_in_a_gap_is_found_by_the_list_after_it() -> None:
    heard = Heard()
    lists = [([[build("a", 3), build("b", 4, "2")]], "9"), ([[build("a", 3)]], "20")]
    cluster = PlayedCluster(lists, [[Expired("too old")]])
    asyncio.run(follow(cluster, heard, lambda: len(cluster.asked) == 4))
    assert cluster.asked == ["list", "9", "list", "20"]
    assert ("4", True) in heard.changes
    assert heard.store.get(DEPLOYMENT, "team", "b") is None


def test_failed_list_is_tried_again() -> None:
    heard = Heard()

    class Failing(PlayedCluster):
        async def list(self, kind: Kind, namespace: str | None) -> AsyncIterator[tuple[list[Manifest], str]]:
            if self.asked.count("list") == 1:
                self.asked.append("list")
                raise ClusterError("no answer")
            async for page in super().list(kind, namespace):
                yield page

    cluster = Failing([([[]], "9"), ([[build("a", 30)]], "31")], [[Expired("too old")]])
    asyncio.run(follow(cluster, heard, lambda: len(cluster.asked) == 5))
    assert cluster.asked == ["list", "9", "list", "list", "31"]
    assert heard.changes == [("30", False)]


@pytest.mark.parametrize(("failures", "least", "most"), [(1, 0.5, 1.0), (2, 1.0, 2.0), (50, 15.0, 30.0)])
def test_waits_double_up_to_half_a_minute(
    failures: int, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "RETRY_SECONDS", 1.0)
    assert least <= watch.find_wait_seconds(failures) <= most


def test_watches_of_some_kinds_end_and_can_be_started_again() -> None:
    heard = Heard()
    cluster = PlayedCluster([([[]], "9")] * 4, [])

    async def main() -> None:
        watching = Watches(cluster, heard.store, Scope(), heard.observe)  # type: ignore[arg-type]  # it has the two verbs
        await watching.start([DEPLOYMENT, SERVICE, POD])
        await watching.stop([SERVICE, POD])
        await watching.start([DEPLOYMENT, POD])
        assert cluster.asked.count("list") == 4
        await watching.stop()

    asyncio.run(main())


def test_list_that_is_older_than_the_one_before_starts_over() -> None:
    """Etcd has been put back to a snapshot: what is newer than that has never been, and versions count from anew."""
    heard = Heard()
    lists = [([[build("a", 3)]], "9"), ([[build("a", 300)]], "400")]
    steps: list[Step] = [
        [("MODIFIED", build("a", 800)), ("ADDED", build("b", 900, "2")), ClusterError("connection refused")],
        [("MODIFIED", build("a", 401))],
    ]
    cluster = PlayedCluster(lists, steps)
    cluster.version = 400
    asyncio.run(follow(cluster, heard, lambda: len(cluster.asked) == 5))
    assert cluster.asked == ["list", "9", "list", "400", "401"]
    assert heard.store.get(DEPLOYMENT, "team", "b") is None
    assert (heard.store.get(DEPLOYMENT, "team", "a") or {})["metadata"]["resourceVersion"] == "401"


class RestoredCluster:
    """A cluster that is put back: its watches say nothing, but for the one of Deployments, which breaks then."""

    def __init__(self) -> None:
        self.version = 900
        self.objects = {DEPLOYMENT: [build("a", 800)], SERVICE: [build("b", 300, "2")]}
        self.broken = asyncio.Event()
        self.lists: list[Kind] = []

    async def list(self, kind: Kind, namespace: str | None) -> AsyncIterator[tuple[list[Manifest], str]]:
        del namespace
        self.lists.append(kind)
        yield self.objects[kind], str(self.version)

    async def find_version(self, kind: Kind, namespace: str | None) -> int:
        del kind, namespace
        return self.version

    async def watch(self, kind: Kind, namespace: str | None, resource_version: str) -> AsyncIterator[Event]:
        del namespace, resource_version
        if kind is DEPLOYMENT and not self.broken.is_set():
            yield "BOOKMARK", {"metadata": {"resourceVersion": "2000"}}
            await self.broken.wait()
            raise ClusterError("connection refused")
        await asyncio.Future()

    def put_back(self) -> None:
        """Be as before: with an older Deployment, and without the Service."""
        self.version = 1000
        self.objects = {DEPLOYMENT: [build("a", 700)], SERVICE: []}
        self.broken.set()


def test_every_kind_starts_over_when_one_of_them_shows_that_etcd_was_put_back() -> None:
    """The Services' version has been reached again when they are looked at."""
    heard = Heard()

    async def main() -> None:
        cluster = RestoredCluster()
        watching = Watches(cluster, heard.store, Scope(), heard.observe)  # type: ignore[arg-type]  # it has the three verbs
        await watching.start([DEPLOYMENT, SERVICE])
        await asyncio.sleep(0.01)
        assert heard.store.has(SERVICE, "team", "b")
        cluster.put_back()
        async with asyncio.timeout(5):
            while heard.store.has(SERVICE, "team", "b") or len(cluster.lists) < 4:
                assert not watching.has_ended()
                await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        await watching.stop()
        assert sorted(kind.name for kind in cluster.lists) == ["Deployment", "Deployment", "Service", "Service"]

    asyncio.run(main())
    assert (heard.store.get(DEPLOYMENT, "team", "a") or {})["metadata"]["resourceVersion"] == "700"
