"""Clients that send slowly, too much, too often or nothing, while another one is served: a process, attacked for real."""

import os
import re
import resource
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from attacks import HEAD, ask_repeatedly, count_unsent_bytes, flood, hold, is_closed, read_to_end
from local_clusters import ROOT
from runtime_processes import Runtime
from scoring_runtime.access.keys import hash_key
from tensor_models import TABLE_EXAMPLE, write_artifact

KEY = {"X-API-Key": "good"}
ROW = {"input": [[1.0, 2, 3, 4.5]]}
BODY = b'{"input": [[1.0, 2, 3, 4.5]]}'
SECONDS = 0.7
# Attack and client share the machine's two cores with the server: a flood takes its part of them.
MOST_SLOWER = 30

Attack = AbstractContextManager[Any]


def start(folder: Path, **variables: str) -> Runtime:
    (folder / "keys").mkdir(exist_ok=True)
    (folder / "keys" / "shop").write_text(hash_key("good"))
    runtime = Runtime(
        {
            "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")]),
            "SCORING_MODEL_URI": write_artifact(folder / "model", "Table", example=TABLE_EXAMPLE).as_uri(),
            "SCORING_WORK_DIR": str(folder / "work"),
            "SCORING_TERMINATION_LOG": str(folder / "termination-log"),
            "SCORING_DRAIN_SECONDS": "0",
            "SCORING_HEADER_TIMEOUT_SECONDS": "5",
            "SCORING_BODY_TIMEOUT_SECONDS": "3",
            **variables,
        }
    )
    try:
        runtime.wait_for_log("ready")
        runtime.follow_log()
        runtime.wait_for_server()
    except AssertionError:
        runtime.end()
        raise
    return runtime


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A runtime as it should face the internet."""
    folder = tmp_path_factory.mktemp("guarded")
    runtime = start(
        folder,
        SCORING_API_KEYS_DIR=str(folder / "keys"),
        SCORING_MAX_REQUESTS_PER_CLIENT="8",
        SCORING_RATE_PER_CLIENT="20000",
        SCORING_BURST_PER_CLIENT="20000",
        SCORING_MAX_CONNECTIONS_PER_CLIENT="100",
        SCORING_MAX_BODY_BYTES="1048576",
    )
    yield runtime
    runtime.end()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime without limits for each client."""
    runtime = start(tmp_path, SCORING_MAX_QUEUE="8")
    yield runtime
    runtime.end()


def ask(runtime: Runtime) -> httpx.Response:
    return runtime.client.post("/score", json=ROW, headers=KEY)


WITH_KEY = HEAD + b"X-API-Key: good\r\n"
ATTACKS: dict[str, Any] = {
    "headers that trickle in": partial(hold, count=200, first=b"POST /score HTTP/1.1\r\nX-A: ", following=b"a"),
    "bodies that trickle in": partial(
        hold, count=100, first=WITH_KEY + b"Content-Length: 5000\r\n\r\n{", following=b" "
    ),
    "bodies that never come": partial(hold, count=100, first=WITH_KEY + b"Content-Length: 5000\r\n\r\n"),
    "chunks that never end": partial(
        hold, count=100, first=WITH_KEY + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", following=b"1\r\n \r\n"
    ),
    "bodies of pages that never come": partial(
        hold,
        count=100,
        first=b"POST /v2/repository/index HTTP/1.1\r\nHost: x\r\nX-API-Key: good\r\nContent-Length: 50\r\n\r\n",
    ),
    "chunks of pages that never end": partial(
        hold,
        count=100,
        first=b"POST /v2/repository/index HTTP/1.1\r\nHost: x\r\nX-API-Key: good\r\nTransfer-Encoding: chunked\r\n\r\n",
        following=b"1\r\n \r\n",
    ),
    "bodies of a gigabyte": partial(flood, request=WITH_KEY + b"Content-Length: 1000000000\r\n\r\n" + b"x" * 100_000),
    "wrong keys": partial(
        flood, request=HEAD + b"X-API-Key: bad\r\nConnection: close\r\nContent-Length: 29\r\n\r\n" + BODY
    ),
    "too many requests": partial(flood, request=WITH_KEY + b"Connection: close\r\nContent-Length: 29\r\n\r\n" + BODY),
    "nothing but connections": partial(hold, count=500, first=b""),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_others_are_served_under_attack(guarded: Runtime, name: str) -> None:
    before = ask_repeatedly(lambda: ask(guarded), SECONDS)
    with ATTACKS[name](guarded.port):
        during = ask_repeatedly(lambda: ask(guarded), SECONDS)
        assert guarded.client.get("/healthz").status_code == 200
    assert set(before.statuses) == set(during.statuses) == {200}
    assert during.median < before.median * MOST_SLOWER


@pytest.mark.parametrize(
    "name", ["headers that trickle in", "bodies that trickle in", "bodies that never come", "nothing but connections"]
)
def test_attackers_connections_end_in_time(guarded: Runtime, name: str) -> None:
    with ATTACKS[name](guarded.port) as connections:
        guarded.wait_for(lambda: all(is_closed(connection) for connection in connections))


def test_chunked_body_of_a_page_has_an_end(plain: Runtime) -> None:
    """Flask would read on, into memory, as long as there is more."""
    head = b"POST /v2/repository/index HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with hold(plain.port, 1, head + b"8000\r\n" + b" " * 2**15 + b"\r\n0\r\n\r\n") as (connection,):
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
    with hold(plain.port, 1, head + 3 * (b"8000\r\n" + b" " * 2**15 + b"\r\n")) as (connection,):
        assert read_to_end(connection).startswith(b"HTTP/1.1 413 ")
    with hold(plain.port, 1, head, following=b"1\r\n \r\n") as (connection,):
        assert read_to_end(connection).startswith(b"HTTP/1.1 408 ")


def test_many_slow_bodies_lose_their_places_where_no_client_is_limited(plain: Runtime) -> None:
    with ATTACKS["bodies that trickle in"](plain.port):
        plain.wait_for(lambda: set(ask_repeatedly(lambda: ask(plain), SECONDS).statuses) == {200})


def test_slow_body_is_told_so(plain: Runtime) -> None:
    with hold(plain.port, 1, HEAD + b"Content-Length: 50\r\n\r\n{") as (connection,):
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b'"code":"BodyTimeout"' in answer
    counted = re.compile(r'^scoring_requests_total{code="408",.*} 1.0$', re.MULTILINE)
    plain.wait_for(lambda: counted.search(plain.client.get("/metrics").text) is not None)


def test_slow_body_is_told_so_in_the_shape_of_its_protocol(plain: Runtime) -> None:
    head = b"POST /v2/models/model/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"
    with hold(plain.port, 1, head) as (connection,):
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b'{"error":"The body did not come in time' in answer


@pytest.fixture
def upper(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime whose answers are as long as the questions, and that gives a connection more time than an answer."""
    model = write_artifact(tmp_path / "upper", "Upper", example={"input": ["a"]}).as_uri()
    runtime = start(
        tmp_path,
        SCORING_MODEL_URI=model,
        SCORING_HEADER_TIMEOUT_SECONDS="3600",
        SCORING_BODY_TIMEOUT_SECONDS="6",
    )
    yield runtime
    runtime.end()


def test_answer_that_nobody_takes_ends_with_its_connection(upper: Runtime) -> None:
    text = b'{"input": ["' + b"a" * 7_000_000 + b'"]}'  # more than the kernel takes
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", upper.port))
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(text) + text)
        upper.wait_for(lambda: count_unsent_bytes(upper.port) > 0)
        upper.wait_for(lambda: count_unsent_bytes(upper.port) == 0)


def test_one_client_does_not_take_all_connections(guarded: Runtime) -> None:
    many = 3000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < many + 500:
        pytest.skip("too few files may be open here")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with hold(guarded.port, many, b"POST /score HTTP/1.1\r\n", b"A: b\r\n") as connections:
            guarded.wait_for(lambda: sum(map(is_closed, connections)) >= many - 100)
            assert ask(guarded).status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
