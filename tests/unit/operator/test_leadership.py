"""Leader election in virtual time, against a Lease that is kept as the API server keeps it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leases import LeaseConnection, LeaseServer
from scoring_operator.api import Manifest
from scoring_operator.errors import NotLeading
from scoring_operator.leadership import Election, Sighting, Term, build_spec
from scoring_operator.settings import Settings
from virtual_time import run_in_virtual_time

DURATION_SECONDS, DEADLINE_SECONDS, RENEW_SECONDS, RETRY_SECONDS = 8, 5.0, 2.0, 1.0
REQUEST_SECONDS = 0.05
SETTINGS = Settings(
    runtime_images={},
    namespace="scoring-system",
    lease_duration_seconds=DURATION_SECONDS,
    lease_renew_deadline_seconds=DEADLINE_SECONDS,
    lease_renew_seconds=RENEW_SECONDS,
    lease_retry_seconds=RETRY_SECONDS,
)
FAR_FUTURE, FAR_PAST = "2099-01-01T00:00:00.000000Z", "1999-01-01T00:00:00.000000Z"


class Candidate:
    """An operator process that does nothing but lead, and may be killed, cut off, or slow to stop."""

    def __init__(self, server: LeaseServer) -> None:
        self.connection = LeaseConnection(server)
        self.election = Election(self.connection, SETTINGS, self._work, asyncio.get_running_loop().time)
        self.terms = 0
        self.is_working = False
        self._task = asyncio.create_task(self.election.run())

    def may_write(self) -> bool:
        return self.election.term.find_left_seconds() > 0

    async def kill(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def stop(self) -> None:
        await self.kill()
        await self.election.release()

    async def wait_for_end(self) -> BaseException | None:
        await asyncio.wait([self._task])
        return self._task.exception()

    async def _work(self) -> None:
        self.terms += 1
        self.is_working = True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_working = False


@asynccontextmanager
async def hold_election(candidates: int = 2) -> AsyncIterator[tuple[LeaseServer, list[Candidate]]]:
    """Yield a server and its candidates; the first of them leads."""
    server = LeaseServer()
    first = Candidate(server)
    await wait_until(first.may_write)
    everyone = [first, *(Candidate(server) for _ in range(candidates - 1))]
    await asyncio.sleep(3 * RETRY_SECONDS)
    yield server, everyone
    for candidate in everyone:
        await candidate.kill()


async def wait_until(is_so: Callable[[], bool], limit_seconds: float = 60.0) -> float:
    """Return the virtual seconds until something is so."""
    now = asyncio.get_running_loop().time
    start = now()
    while not is_so():
        assert now() - start < limit_seconds
        await asyncio.sleep(0.02)
    return now() - start


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Return a test that runs a coroutine function in virtual time."""

    def run() -> None:
        run_in_virtual_time(test())

    run.__name__ = test.__name__
    return run


@in_virtual_time
async def test_first_candidate_leads_at_once_and_others_follow() -> None:
    server = LeaseServer()
    candidates = [Candidate(server) for _ in range(3)]
    assert await wait_until(lambda: any(candidate.may_write() for candidate in candidates)) < 1.0
    await asyncio.sleep(10 * DURATION_SECONDS)
    assert sorted(candidate.terms for candidate in candidates) == [0, 0, 1]
    assert server.lease
    assert server.lease["spec"]["leaseTransitions"] == 0


@in_virtual_time
async def test_follower_takes_over_from_a_dead_leader_when_the_lease_has_expired() -> None:
    async with hold_election() as (server, (leader, follower)):
        await leader.kill()
        seconds = await wait_until(lambda: follower.is_working)
        assert DURATION_SECONDS - RENEW_SECONDS <= seconds <= DURATION_SECONDS + RETRY_SECONDS + 0.1
        assert server.lease
        assert server.lease["spec"]["holderIdentity"] == follower.election.identity
        assert server.lease["spec"]["leaseTransitions"] == 1


@in_virtual_time
async def test_follower_takes_over_within_one_retry_from_a_leader_that_stops() -> None:
    async with hold_election() as (_, (leader, follower)):
        await leader.stop()
        assert not leader.is_working
        assert await wait_until(lambda: follower.is_working) <= RETRY_SECONDS + 0.1


@in_virtual_time
async def test_leader_without_api_server_stops_writing_long_before_another_may_start() -> None:
    async with hold_election() as (_, (leader, follower)):
        leader.connection.is_cut = True
        stopped = await wait_until(lambda: not leader.may_write())
        assert stopped <= DEADLINE_SECONDS
        assert await wait_until(lambda: not leader.is_working) < 0.1
        assert await wait_until(follower.may_write) > DURATION_SECONDS - DEADLINE_SECONDS - 0.1


@in_virtual_time
async def test_leader_rides_out_an_outage_shorter_than_its_deadline() -> None:
    async with hold_election() as (_, candidates):
        for candidate in candidates:
            candidate.connection.is_cut = True
        await asyncio.sleep(DEADLINE_SECONDS - RENEW_SECONDS - 0.5)
        for candidate in candidates:
            candidate.connection.is_cut = False
        await asyncio.sleep(10 * DURATION_SECONDS)
        assert [candidate.terms for candidate in candidates] == [1, 0]


@in_virtual_time
async def test_somebody_leads_again_after_a_long_outage() -> None:
    async with hold_election() as (_, candidates):
        for candidate in candidates:
            candidate.connection.is_cut = True
        await asyncio.sleep(10 * DURATION_SECONDS)
        assert not any(candidate.is_working for candidate in candidates)
        for candidate in candidates:
            candidate.connection.is_cut = False
        assert await wait_until(lambda: any(candidate.is_working for candidate in candidates)) <= RETRY_SECONDS + 0.1


@in_virtual_time
async def test_leader_goes_on_when_the_answer_to_a_renewal_is_lost() -> None:
    async with hold_election() as (server, (leader, follower)):
        leader.connection.answer_seconds = 100.0
        assert server.lease
        version = server.lease["metadata"]["resourceVersion"]
        await wait_until(lambda: server.lease is not None and server.lease["metadata"]["resourceVersion"] != version)
        leader.connection.answer_seconds = REQUEST_SECONDS
        await asyncio.sleep(10 * DURATION_SECONDS)
        assert (leader.terms, follower.terms) == (1, 0)


@in_virtual_time
async def test_leader_whose_lease_is_taken_stops_at_its_next_renewal_and_waits_until_it_expires() -> None:
    async with hold_election() as (server, candidates):
        leader = candidates[0]
        server.edit(holderIdentity="somebody", leaseDurationSeconds=20)
        assert await wait_until(lambda: not leader.may_write()) <= RENEW_SECONDS + 0.1
        assert not leader.is_working or await wait_until(lambda: not leader.is_working) < 0.1
        seconds = await wait_until(lambda: any(candidate.is_working for candidate in candidates))
        assert 20 - RENEW_SECONDS - 0.1 <= seconds <= 20 + RETRY_SECONDS


@in_virtual_time
async def test_lease_given_to_a_follower_by_hand_does_not_make_two_leaders() -> None:
    async with hold_election() as (server, (leader, follower)):
        server.edit(holderIdentity=follower.election.identity)
        await wait_until(lambda: not leader.may_write())
        # Neither knows of it, so either may take it once it has expired.
        await wait_until(lambda: leader.may_write() or follower.may_write())
        assert leader.may_write() != follower.may_write()


@in_virtual_time
async def test_deleted_lease_is_made_again_by_its_leader() -> None:
    async with hold_election() as (server, (leader, follower)):
        server.lease = None
        assert await wait_until(lambda: server.lease is not None) <= RENEW_SECONDS + 0.1
        await asyncio.sleep(3 * DURATION_SECONDS)
        assert (leader.terms, follower.terms, leader.may_write()) == (1, 0, True)


@in_virtual_time
async def test_follower_takes_over_when_the_lease_is_deleted_and_its_leader_dead() -> None:
    async with hold_election() as (server, (leader, follower)):
        await leader.kill()
        server.lease = None
        assert await wait_until(lambda: follower.is_working) <= DURATION_SECONDS + RETRY_SECONDS


@pytest.mark.parametrize("renewed", [FAR_FUTURE, FAR_PAST, None])
def test_wall_clocks_do_not_matter(renewed: str | None) -> None:
    async def main() -> None:
        async with hold_election() as (server, (leader, follower)):
            for _ in range(5):
                server.edit(renewTime=renewed, acquireTime=renewed)
                await asyncio.sleep(DURATION_SECONDS)
            assert (leader.terms, follower.terms) == (1, 0)
            await leader.kill()
            server.edit(renewTime=renewed, acquireTime=renewed)
            seconds = await wait_until(lambda: follower.is_working)
            # The follower sees the last change up to one look late, and takes the Lease up to one look after it has expired.
            assert DURATION_SECONDS - 0.1 <= seconds <= DURATION_SECONDS + 2 * RETRY_SECONDS

    run_in_virtual_time(main())


@in_virtual_time
async def test_stopping_leader_leaves_the_lease_of_another_alone() -> None:
    async with hold_election(candidates=1) as (server, (leader,)):
        server.edit(holderIdentity="somebody")
        await leader.stop()
        assert server.lease
        assert server.lease["spec"]["holderIdentity"] == "somebody"


@in_virtual_time
async def test_election_ends_with_the_work_and_is_stuck_when_nothing_is_tried() -> None:
    async def fail() -> None:
        raise LookupError("broken")

    server = LeaseServer()
    election = Election(LeaseConnection(server), SETTINGS, fail, asyncio.get_running_loop().time)
    with pytest.raises(RuntimeError, match="the leader's work has ended") as raised:
        await election.run()
    assert isinstance(raised.value.__cause__, LookupError)
    assert election.term.find_left_seconds() == 0
    assert not election.is_stuck()
    await asyncio.sleep(2 * DURATION_SECONDS + 0.1)
    assert election.is_stuck()


def test_term_counts_from_the_start_of_the_renewal() -> None:
    now = [100.0]
    term = Term(5.0, lambda: now[0])
    with pytest.raises(NotLeading):
        term.check()
    term.extend(started_at=98.0)
    now[0] = 102.9
    term.check()
    now[0] = 103.0
    with pytest.raises(NotLeading):
        term.check()
    term.extend(started_at=103.0)
    term.end()
    with pytest.raises(NotLeading):
        term.check()


def build_lease(version: str, **spec: Any) -> Manifest:
    return {"metadata": {"resourceVersion": version}, "spec": spec}


def test_lease_is_free_by_the_duration_of_its_holder() -> None:
    sighting = Sighting()
    assert sighting.find_wait_seconds(0.0) == 0.0
    sighting.note(build_lease("1", holderIdentity="a", leaseDurationSeconds=30), 10.0)
    sighting.note(build_lease("1", holderIdentity="a", leaseDurationSeconds=30), 20.0)
    sighting.note(None, 30.0)
    assert sighting.find_wait_seconds(35.0) == 5.0
    sighting.note(build_lease("2", holderIdentity="", leaseDurationSeconds=30), 35.0)
    assert sighting.find_wait_seconds(35.0) == 0.0
    sighting.note(build_lease("3", holderIdentity="b"), 36.0)
    assert sighting.find_wait_seconds(36.0) == 0.0


def test_renewal_counts_although_the_lease_reads_as_before() -> None:
    sighting = Sighting()
    for number in range(3):
        sighting.note(build_lease(str(number), holderIdentity="a", leaseDurationSeconds=8, renewTime=FAR_PAST), number)
    assert sighting.find_wait_seconds(3.0) == 7.0


def test_taking_over_counts_a_transition_and_renewing_does_not() -> None:
    first = build_spec(None, "a", 8)
    renewed = build_spec(first, "a", 8)
    taken = build_spec({**renewed, "strategy": "OldestEmulationVersion"}, "b", 9)
    assert (first["leaseTransitions"], renewed["leaseTransitions"], taken["leaseTransitions"]) == (0, 0, 1)
    assert renewed["acquireTime"] == first["acquireTime"] != taken["acquireTime"]
    assert (taken["leaseDurationSeconds"], taken["strategy"]) == (9, "OldestEmulationVersion")


FAULTS = ("kill", "stop", "start", "cut", "mend", "slow request", "slow answer", "touch")
STEPS = st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 2), st.floats(0.0, 12.0)), max_size=12)


@hypothesis.settings(max_examples=50)
@given(STEPS)
def test_never_two_may_write_whatever_happens(steps: list[tuple[str, int, float]]) -> None:
    async def main() -> None:
        server = LeaseServer()
        everyone = [Candidate(server) for _ in range(3)]
        watch = asyncio.create_task(watch_writers(everyone))
        for fault, number, seconds in steps:
            await bring(fault, number, server, everyone)
            await asyncio.sleep(seconds)
        for number in range(3):
            await bring("mend", number, server, everyone)
            await bring("start", number, server, everyone)
        # All is well again: somebody leads before long.
        await wait_until(lambda: any(candidate.may_write() for candidate in everyone), 2 * DURATION_SECONDS + 5)
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        for candidate in everyone:
            await candidate.kill()

    run_in_virtual_time(main())


async def watch_writers(everyone: list[Candidate]) -> None:
    """Fail when two may write at the same time."""
    while True:
        assert sum(candidate.may_write() for candidate in everyone) <= 1
        await asyncio.sleep(0.05)


async def bring(fault: str, number: int, server: LeaseServer, everyone: list[Candidate]) -> None:
    """Bring a fault over one candidate or the Lease."""
    candidate = everyone[number]

    async def start() -> None:
        await candidate.kill()
        everyone[number] = Candidate(server)

    async def change(**attributes: Any) -> None:
        vars(candidate.connection).update(attributes)

    async def touch() -> None:
        if server.lease is not None:
            server.edit(renewTime=FAR_PAST)

    acts: dict[str, Callable[[], Awaitable[None]]] = {
        "kill": candidate.kill,
        "stop": candidate.stop,
        "start": start,
        "cut": lambda: change(is_cut=True),
        "mend": lambda: change(is_cut=False, request_seconds=REQUEST_SECONDS, answer_seconds=REQUEST_SECONDS),
        "slow request": lambda: change(request_seconds=3.0),
        "slow answer": lambda: change(answer_seconds=3.0),
        "touch": touch,
    }
    await acts[fault]()
