"""What an operator process does as a follower and as a leader, in virtual time, without an API server."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from leases import LeaseConnection, LeaseServer
from scoring_operator.advice import Adviser
from scoring_operator.api import Manifest
from scoring_operator.cluster import Cluster
from scoring_operator.connection import Access
from scoring_operator.errors import ClusterError
from scoring_operator.kinds import (
    CRD,
    DEPLOYMENT,
    GATEWAY,
    HTTP_ROUTE,
    INGRESS,
    SCALED_OBJECT,
    SCORING_MODEL,
    Key,
    Kind,
    Scope,
)
from scoring_operator.leadership import Election
from scoring_operator.reconcile import Reconciler
from scoring_operator.settings import Settings
from scoring_operator.work import FRESH_SECONDS, Work
from virtual_time import run_in_virtual_time

SETTINGS = Settings(runtime_images={}, namespace="scoring-system", resync_seconds=3600.0)
WITHOUT_CAPACITY = Scope(is_capacity_told=False)
RESCUE_SECONDS = 10.0


class EmptyCluster(LeaseConnection):
    """A cluster with a Lease and nothing else."""

    def __init__(self, server: LeaseServer) -> None:
        super().__init__(server)
        self.lists = self.watches = 0
        self.failure: Exception | None = None
        self.served: frozenset[Kind] = frozenset()

    async def list(self, kind: Kind, namespace: str | None) -> AsyncIterator[tuple[list[Manifest], str]]:
        del namespace
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(0)
        if kind is SCORING_MODEL:
            self.lists += 1
        yield [], "1"

    async def watch(self, kind: Kind, namespace: str | None, version: str) -> AsyncIterator[tuple[str, Manifest]]:
        del kind, namespace, version
        self.watches += 1
        yield await asyncio.Future()

    async def find_served(self, kinds: Iterable[Kind]) -> frozenset[Kind]:
        del kinds
        return self.served

    async def close(self) -> None:
        pass


def build_body(version: int, generation: int = 1) -> Manifest:
    metadata = {"name": "faq", "namespace": "team", "uid": "1", "resourceVersion": str(version)}
    return {"kind": "ScoringModel", "metadata": {**metadata, "generation": generation}, "spec": {}}


@pytest.fixture
def reconciled(monkeypatch: pytest.MonkeyPatch) -> list[Key]:
    """Return the keys that have been reconciled."""
    keys: list[Key] = []

    async def reconcile(_: Reconciler, key: Key) -> None:
        keys.append(key)

    monkeypatch.setattr(Reconciler, "reconcile", reconcile)
    return keys


def refuse() -> Access:
    """Stand for a log-in that is never asked for."""
    raise AssertionError("nobody connects here")


@asynccontextmanager
async def start_work(
    monkeypatch: pytest.MonkeyPatch,
    server: LeaseServer,
    settings: Settings = SETTINGS,
    scope: Scope = WITHOUT_CAPACITY,
) -> AsyncIterator[tuple[Work, EmptyCluster]]:
    """Yield the started work of a process, with the only connection that it has."""
    cluster = EmptyCluster(server)

    async def connect(*_: object) -> EmptyCluster:
        return cluster

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(Cluster, "connect", connect)
    monkeypatch.setattr(time, "clock_gettime", lambda _: loop.time())
    process = Work(settings, scope, refuse)
    await process.start()
    yield process, cluster
    await process.stop()


def test_follower_keeps_its_store_and_reconciles_all_once_it_leads(
    monkeypatch: pytest.MonkeyPatch, reconciled: list[Key]
) -> None:
    async def main() -> None:
        server = LeaseServer()
        async with start_work(monkeypatch, server) as (first, _):
            await asyncio.sleep(1.0)
            assert first.is_leading()
            async with start_work(monkeypatch, server) as (second, cluster):
                second.observe(SCORING_MODEL, build_body(5), is_deleted=False)
                await asyncio.sleep(60.0)
                assert not second.is_leading()
                assert (cluster.lists, reconciled, second.check_health()) == (1, [], 0.0)
                await first.stop()
                await asyncio.sleep(2.0)
                assert second.is_leading()
                assert (cluster.lists, reconciled) == (2, [Key("team", "faq")])

    run_in_virtual_time(main())


def test_metrics_tell_who_leads_and_the_models_of_the_leader_alone(
    monkeypatch: pytest.MonkeyPatch, reconciled: list[Key]
) -> None:
    del reconciled

    def read(process: Work, name: str, **labels: str) -> float | None:
        return process.metrics.registry.get_sample_value(f"scoring_operator_{name}", labels)

    async def main() -> None:
        server = LeaseServer()
        async with start_work(monkeypatch, server) as (first, _):
            await asyncio.sleep(1.0)
            async with start_work(monkeypatch, server) as (second, _):
                for process in (first, second):
                    process.observe(SCORING_MODEL, build_body(5), is_deleted=False)
                await asyncio.sleep(1.0)
                assert (read(first, "leader"), read(second, "leader")) == (1, 0)
                assert read(first, "models", hardware_class="", state="unseen") == 1
                assert read(second, "models", hardware_class="", state="unseen") is None
                assert read(first, "reconcile_seconds_count", outcome="success") == 1
                await first.stop()
                await asyncio.sleep(2.0)
                assert (read(first, "leader"), read(second, "leader")) == (0, 1)
                assert read(first, "queue_depth") is None
                assert read(second, "queue_depth") == 0

    run_in_virtual_time(main())


def test_leader_that_is_robbed_does_not_reconcile_until_it_leads_again(
    monkeypatch: pytest.MonkeyPatch, reconciled: list[Key]
) -> None:
    async def main() -> None:
        server = LeaseServer()
        async with start_work(monkeypatch, server) as (process, _):
            await asyncio.sleep(1.0)
            server.edit(holderIdentity="somebody")
            await asyncio.sleep(3.0)
            process.observe(SCORING_MODEL, build_body(5), is_deleted=False)
            await asyncio.sleep(1.0)
            assert (process.is_leading(), reconciled) == (False, [])
            await asyncio.sleep(RESCUE_SECONDS)
            assert (process.is_leading(), reconciled) == (True, [Key("team", "faq")])

    run_in_virtual_time(main())


def test_new_leader_waits_with_its_work_until_it_has_listed_what_it_listed_long_ago(
    monkeypatch: pytest.MonkeyPatch, reconciled: list[Key]
) -> None:
    async def main() -> None:
        server = LeaseServer()
        async with (
            start_work(monkeypatch, server) as (first, _),
            start_work(monkeypatch, server) as (second, cluster),
        ):
            second.observe(SCORING_MODEL, build_body(5), is_deleted=False)
            await asyncio.sleep(FRESH_SECONDS)
            cluster.failure = ClusterError("connection refused")
            await first.stop()
            await asyncio.sleep(5.0)
            assert (second.is_leading(), reconciled) == (True, [])
            cluster.failure = None
            await asyncio.sleep(2.0)
            assert (cluster.lists, reconciled) == (2, [Key("team", "faq")])

    run_in_virtual_time(main())


def test_start_lists_everything_once(monkeypatch: pytest.MonkeyPatch, reconciled: list[Key]) -> None:
    """With thousands of models a list takes seconds, and the watches that have just begun have missed nothing."""

    async def main() -> None:
        async with start_work(monkeypatch, LeaseServer()) as (process, cluster):
            process.observe(SCORING_MODEL, build_body(5), is_deleted=False)
            await asyncio.sleep(1.0)
            assert (cluster.lists, reconciled) == (1, [Key("team", "faq")])
            await asyncio.sleep(SETTINGS.resync_seconds)
            assert cluster.lists == 2

    run_in_virtual_time(main())


def test_models_that_wait_for_something_are_seen_to_before_those_that_do_not(
    monkeypatch: pytest.MonkeyPatch, reconciled: list[Key]
) -> None:
    """After a start with thousands of models, the one that was edited meanwhile must not wait for all the others."""

    def build(name: str, seen: int | None = 1) -> Manifest:
        body = build_body(5)
        status = {} if seen is None else {"status": {"observedGeneration": seen}}
        return {**body, **status, "metadata": {**body["metadata"], "name": name, "uid": name}}

    async def main() -> None:
        settings = SETTINGS.model_copy(update={"leader_election": False, "workers": 1})
        async with start_work(monkeypatch, LeaseServer(), settings) as (process, _):
            for body in (build("fine"), build("edited", 0), build("new", None), build("robbed"), build("fine-too")):
                process.observe(SCORING_MODEL, body, is_deleted=False)
            for name in ("edited", "fine", "fine-too"):
                process.observe(DEPLOYMENT, build(name), is_deleted=False)
            await asyncio.sleep(1.0)

    run_in_virtual_time(main())
    assert [key.name for key in reconciled] == ["edited", "new", "robbed", "fine", "fine-too"]


def test_optional_kind_counts_once_it_can_be_watched(monkeypatch: pytest.MonkeyPatch, reconciled: list[Key]) -> None:
    """The API server says that it serves a kind a moment before it does."""

    async def main() -> None:
        settings = SETTINGS.model_copy(update={"leader_election": False})
        async with start_work(monkeypatch, LeaseServer(), settings) as (process, cluster):
            process.observe(SCORING_MODEL, build_body(5), is_deleted=False)
            await asyncio.sleep(1.0)
            reconciled.clear()
            cluster.served, cluster.failure = frozenset({SCALED_OBJECT}), ClusterError("being prepared")
            process.observe(CRD, {"metadata": {"name": "scaledobjects.keda.sh"}}, is_deleted=False)
            await asyncio.sleep(1.0)
            assert reconciled == []
            cluster.failure = None
            await asyncio.sleep(5.0)
            assert reconciled == [Key("team", "faq")]

    run_in_virtual_time(main())


def test_optional_kind_is_watched_once_however_many_look_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resync and a new CRD may have it looked for at the same time."""

    async def main() -> None:
        settings = SETTINGS.model_copy(update={"leader_election": False})
        async with start_work(monkeypatch, LeaseServer(), settings) as (process, cluster):
            await asyncio.sleep(1.0)
            cluster.served = frozenset({SCALED_OBJECT})
            watched = cluster.watches
            await asyncio.gather(process.discover(), process.discover())
            await asyncio.sleep(1.0)
            assert cluster.watches == watched + 1

    run_in_virtual_time(main())


def test_what_a_reconcile_has_written_counts_in_the_advice_about_capacity(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class that a model uses is known once its status is written, and the pods may be there before."""
    class_status = {"hardwareClass": "cpu"}
    counted: list[int] = []

    async def reconcile(reconciler: Reconciler, _: Key) -> None:
        await asyncio.sleep(1.0)
        reconciler._store.put(SCORING_MODEL, {**build_body(6), "status": class_status})

    async def advise(adviser: Adviser) -> bool:
        bodies = adviser._store.select(SCORING_MODEL)
        counted.append(sum(body.get("status") == class_status for body in bodies))
        return True

    async def main() -> None:
        settings = SETTINGS.model_copy(update={"leader_election": False})
        async with start_work(monkeypatch, LeaseServer(), settings, Scope()) as (process, _):
            process.observe(SCORING_MODEL, build_body(5), is_deleted=False)
            await asyncio.sleep(10.0)
            process.observe(SCORING_MODEL, {**build_body(6), "status": class_status}, is_deleted=False)
            await asyncio.sleep(10.0)

    monkeypatch.setattr(Reconciler, "reconcile", reconcile)
    monkeypatch.setattr(Adviser, "advise", advise)
    run_in_virtual_time(main())
    assert counted[-1] == 1


def test_process_is_unhealthy_when_its_work_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        settings = SETTINGS.model_copy(update={"resync_seconds": 5.0})
        async with start_work(monkeypatch, LeaseServer(), settings) as (process, cluster):
            await asyncio.sleep(1.0)
            assert process.check_health() == 0.0
            cluster.failure = LookupError("nobody expects this one")
            await asyncio.sleep(5.0)
            with pytest.raises(TimeoutError, match="has ended"):
                process.check_health()
            assert not process.is_leading()

    run_in_virtual_time(main())


def test_process_is_unhealthy_when_its_election_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with start_work(monkeypatch, LeaseServer()) as (process, _):
            await asyncio.sleep(1.0)
            monkeypatch.setattr(Election, "is_stuck", lambda _: True)
            with pytest.raises(TimeoutError, match="stuck"):
                process.check_health()

    run_in_virtual_time(main())


def build_claim(name: str, version: int, host: str = "a.example.com", **metadata: object) -> Manifest:
    identity = {"name": name, "namespace": "team", "uid": name, "resourceVersion": str(version), "generation": version}
    return {"kind": "ScoringModel", "metadata": {**identity, **metadata}, "spec": {"endpoint": {"host": host}}}


def build_gateway(version: int, programmed: str, routes: int) -> Manifest:
    metadata = {"name": "public", "namespace": "infra", "uid": "g", "resourceVersion": str(version)}
    conditions = [{"type": "Programmed", "status": programmed, "reason": "Programmed", "message": ""}]
    status = {"conditions": conditions, "listeners": [{"name": "https", "attachedRoutes": routes}]}
    listener = {"name": "https", "protocol": "HTTPS", "port": 443}
    return {"metadata": metadata, "spec": {"listeners": [listener]}, "status": status}


def watch_causes(
    monkeypatch: pytest.MonkeyPatch, reconciled: list[Key], changes: list[tuple[Kind, Manifest, bool]]
) -> set[Key]:
    """Return the models that are reconciled for the last of several changes."""

    async def main() -> None:
        settings = SETTINGS.model_copy(update={"leader_election": False})
        async with start_work(monkeypatch, LeaseServer(), settings) as (process, cluster):
            cluster.served = frozenset({GATEWAY, HTTP_ROUTE})
            await process.discover()
            for kind, body, is_deleted in changes:
                await asyncio.sleep(5.0)
                reconciled.clear()
                process.observe(kind, body, is_deleted)
            await asyncio.sleep(5.0)

    run_in_virtual_time(main())
    return set(reconciled)


@pytest.mark.parametrize(
    ("last", "is_deleted", "woken"),
    [
        (build_claim("first", 4), True, {"first", "second"}),
        (build_claim("first", 4, "b.example.com"), False, {"first", "second", "third"}),
        (build_claim("first", 4, "c.example.com"), False, {"first", "second"}),
        (build_claim("second", 4, labels={"a": "b"}), False, {"second"}),
    ],
)
def test_models_that_want_the_same_host_are_woken_when_one_goes_or_moves(
    monkeypatch: pytest.MonkeyPatch, reconciled: list[Key], last: Manifest, is_deleted: bool, woken: set[str]
) -> None:
    models = (build_claim("first", 1), build_claim("second", 2), build_claim("third", 3, "b.example.com"))
    changes = [*((SCORING_MODEL, body, False) for body in models), (SCORING_MODEL, last, is_deleted)]
    assert {key.name for key in watch_causes(monkeypatch, reconciled, changes)} == woken


@pytest.mark.parametrize("kind", [INGRESS, HTTP_ROUTE])
def test_model_is_woken_when_somebody_elses_route_leaves_its_host(
    monkeypatch: pytest.MonkeyPatch, reconciled: list[Key], kind: Kind
) -> None:
    paths = {"paths": [{"path": "/", "pathType": "Prefix"}]}
    rules = {"rules": [{"host": "a.example.com", "http": paths}]}
    spec = {"hostnames": ["a.example.com"]} if kind is HTTP_ROUTE else rules
    other = {**build_claim("other", 2), "spec": spec}
    changes = [(SCORING_MODEL, build_claim("first", 1), False), (kind, other, False), (kind, other, True)]
    assert watch_causes(monkeypatch, reconciled, changes) == {Key("team", "first")}


def test_route_that_loses_our_label_wakes_its_model(monkeypatch: pytest.MonkeyPatch, reconciled: list[Key]) -> None:
    labels = {"scoring.dev/model": "first"}
    ours = {**build_claim("first", 2, labels=labels), "spec": {}}
    bare = {**build_claim("first", 3), "spec": {}}
    changes = [(SCORING_MODEL, build_claim("first", 1), False), (INGRESS, ours, False), (INGRESS, bare, False)]
    assert watch_causes(monkeypatch, reconciled, changes) == {Key("team", "first")}


def test_child_that_loses_our_label_wakes_the_model_that_owns_it(
    monkeypatch: pytest.MonkeyPatch, reconciled: list[Key]
) -> None:
    owner = {"apiVersion": "scoring.dev/v1beta1", "kind": "ScoringModel", "name": "first", "controller": True}
    bare = build_claim("first", 3, labels={"scoring.dev/model": "other"})
    bare["metadata"]["ownerReferences"] = [owner]
    changes = [(SCORING_MODEL, build_claim("first", 1), False), (DEPLOYMENT, {**bare, "spec": {}}, False)]
    assert watch_causes(monkeypatch, reconciled, changes) == {Key("team", "first")}


@pytest.mark.parametrize(
    ("last", "is_deleted", "is_cause"),
    [
        (build_gateway(3, "True", routes=2), False, False),
        (build_gateway(3, "False", routes=1), False, True),
        (build_gateway(3, "True", routes=1), True, True),
    ],
)
def test_gateway_is_a_cause_when_it_works_otherwise_than_before_but_not_for_each_route(
    monkeypatch: pytest.MonkeyPatch, reconciled: list[Key], last: Manifest, is_deleted: bool, is_cause: bool
) -> None:
    first = build_gateway(2, "True", routes=1)
    changes = [(SCORING_MODEL, build_claim("first", 1), False), (GATEWAY, first, False), (GATEWAY, last, is_deleted)]
    assert bool(watch_causes(monkeypatch, reconciled, changes)) is is_cause
