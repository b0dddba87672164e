"""Limits for each client, and who the client is."""

import pytest

from scoring_runtime.access.clients import MAX_REMEMBERED, ClientFinder
from scoring_runtime.access.errors import TooManyRequestsError
from scoring_runtime.access.limits import MAX_CLIENTS, Rate, UseLimit


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def count_taken(limit: UseLimit, client: str, tries: int) -> int:
    taken = 0
    for _ in range(tries):
        try:
            limit.enter(client)
            taken += 1
        except TooManyRequestsError:
            pass
    return taken


def test_burst_is_taken_at_once_and_then_the_rate() -> None:
    clock = Clock()
    limit = UseLimit("this client", Rate(2, 5), clock=clock)
    assert count_taken(limit, "a", 20) == 5
    clock.now += 0.5
    assert count_taken(limit, "a", 20) == 1
    clock.now += 60
    assert count_taken(limit, "a", 20) == 5


def test_clients_do_not_take_from_each_other() -> None:
    limit = UseLimit("this client", Rate(1, 1), clock=Clock())
    assert [count_taken(limit, client, 3) for client in ("a", "b", "a", "b")] == [1, 1, 0, 0]


def test_refusal_says_when_the_next_is_taken() -> None:
    clock = Clock()
    limit = UseLimit("this client", Rate(0.1, 1), clock=clock)
    limit.enter("a")
    clock.now += 4
    with pytest.raises(TooManyRequestsError) as raised:
        limit.enter("a")
    assert raised.value.retry_after_seconds == pytest.approx(6)
    assert raised.value.policy == ("client", 1, 10)
    clock.now += raised.value.retry_after_seconds
    limit.enter("a")


def test_refused_requests_do_not_put_the_next_one_off() -> None:
    clock = Clock()
    limit = UseLimit("this client", Rate(1, 1), clock=clock)
    count_taken(limit, "a", 1000)
    clock.now += 1
    assert count_taken(limit, "a", 1) == 1


def test_number_of_clients_in_memory_is_bounded() -> None:
    limit = UseLimit("this client", Rate(1, 1), clock=Clock())
    limit.enter("first")
    for number in range(MAX_CLIENTS + 10):
        limit.enter(str(number))
    assert limit.count_clients() <= MAX_CLIENTS
    # Those that were counted last are still known, and who was counted first is not.
    assert count_taken(limit, str(MAX_CLIENTS + 10 - MAX_CLIENTS // 2), 1) == 0
    assert count_taken(limit, str(MAX_CLIENTS + 9), 1) == 0
    assert count_taken(limit, "first", 1) == 1


def test_who_asks_again_and_again_is_not_forgotten() -> None:
    limit = UseLimit("this client", Rate(1, 1), clock=Clock())
    limit.enter("steady")
    for number in range(2 * MAX_CLIENTS):
        limit.enter(str(number))
        if number % 1000 == 0:
            assert count_taken(limit, "steady", 1) == 0


def test_places_are_given_back() -> None:
    limit = UseLimit("this client", most_inside=2)
    first = limit.enter("a")
    limit.enter("a")
    limit.enter("b")
    with pytest.raises(TooManyRequestsError, match="More than 2 requests at the same time of this client"):
        limit.enter("a")
    limit.leave(first)
    limit.enter("a")


def test_request_without_a_place_does_not_use_the_rate_up() -> None:
    clock = Clock()
    limit = UseLimit("this client", Rate(1, 2), most_inside=1, clock=clock)
    use = limit.enter("a")
    assert count_taken(limit, "a", 10) == 0
    limit.leave(use)
    limit.enter("a")


def test_places_of_a_client_are_not_forgotten_while_it_has_them() -> None:
    limit = UseLimit("this client", most_inside=1)
    limit.enter("a")
    for number in range(MAX_CLIENTS + 10):
        limit.leave(limit.enter(str(number)))
    assert limit.count_clients() <= MAX_CLIENTS
    with pytest.raises(TooManyRequestsError):
        limit.enter("a")


PROXY, CLIENT, OTHER = "10.0.0.1", "192.0.2.7", "198.51.100.9"


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ((), CLIENT, None, CLIENT),
        ((), CLIENT, OTHER, CLIENT),
        (("10.0.0.0/8",), CLIENT, OTHER, CLIENT),
        (("10.0.0.0/8",), PROXY, None, PROXY),
        (("10.0.0.0/8",), PROXY, CLIENT, CLIENT),
        (("10.0.0.0/8",), PROXY, f"{OTHER}, {CLIENT}", CLIENT),
        (("10.0.0.0/8",), PROXY, f"{OTHER}, {CLIENT}, 10.2.2.2", CLIENT),
        (("10.0.0.0/8",), PROXY, f"{CLIENT}:4711", CLIENT),
        (("10.0.0.0/8",), PROXY, "nonsense", PROXY),
        (("10.0.0.0/8",), PROXY, f"{CLIENT}, nonsense", PROXY),
        (("10.0.0.0/8",), PROXY, "", PROXY),
        (("10.0.0.0/8",), "::ffff:10.0.0.1", CLIENT, CLIENT),
        ((), "10.0.0.1:5", None, PROXY),
        ((), "[2001:db8:1:2:3::4]:80", None, "2001:db8:1:2::/64"),
        ((), "2001:db8:1:2:ffff::9", None, "2001:db8:1:2::/64"),
        ((), "/run/socket", None, "/run/socket"),
        ((), "", None, ""),
    ],
)
def test_client_is_who_a_trusted_proxy_names(
    trusted: tuple[str, ...], peer: str, forwarded: str | None, client: str
) -> None:
    assert ClientFinder(trusted).find(peer, forwarded) == client


def test_made_up_headers_do_not_fill_the_memory() -> None:
    finder = ClientFinder(["10.0.0.0/8"])
    for number in range(MAX_REMEMBERED * 2):
        finder.find(PROXY, f"made up {number}")
    assert finder.find.cache_info().currsize <= MAX_REMEMBERED
