"""A server under test: how it is started, asked, and known to answer rightly. Above `processes`."""

import contextlib
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving.errors import ServerFailed
from benchmarks.serving.processes import MARK, ProcessTree

LOOPBACK = "127.0.0.1"
START_SECONDS = 600.0
END_SECONDS = 15.0

_POLL_SECONDS = 0.01
_LOG_CHARACTERS = 3000
_OK = 200
# Of the caller's environment, what a server needs to run at all; nothing that would tune it.
_INHERITED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "TMPDIR")

Ports = Sequence[int]
Variables = Mapping[str, str]


@dataclass(frozen=True)
class Call:
    """One request and what its answer must hold: `read` takes the parsed answer apart, `expected` is what it gives.

    Under load, `others` are sent in turn with the body.
    """

    path: str
    body: bytes
    expected: Any
    read: Callable[[Any], Any] = lambda answer: answer
    content_type: str = "application/json"
    others: Sequence[bytes] = ()
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Server:
    """A server by name. `command` makes its command line from three free ports, the first for HTTP."""

    name: str
    command: Callable[[Ports], Sequence[str | Path]]
    folder: Path
    call: Call
    environment: Callable[[Ports], Variables] = lambda _ports: {}
    details: Mapping[str, Any] = field(default_factory=dict)
    ready: str = "/"  # answers 200 once the model is loaded
    about: str = ""  # answers what is served as JSON, kept with the results


@dataclass(frozen=True)
class RunningServer:
    """A server that has answered rightly once. `start_seconds`: from process start to that answer."""

    server: Server
    url: str
    tree: ProcessTree
    start_seconds: float


@contextlib.contextmanager
def run_server(server: Server, log: Path) -> Iterator[RunningServer]:
    """Start a server, its output going to `log`, and end it with all its processes. Raises ServerFailed."""
    ports = find_free_ports(3)
    mark = uuid.uuid4().hex
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", MARK: mark, **server.environment(ports)}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in server.command(ports)],
            cwd=server.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        tree = ProcessTree(process.pid, mark)
        url = f"http://{LOOPBACK}:{ports[0]}"
        try:
            _wait_for_answer(server, url, process, log)
            yield RunningServer(server, url, tree, time.monotonic() - started)
        finally:
            tree.end(process, END_SECONDS)


def find_free_ports(count: int) -> list[int]:
    """Return ports of the loopback address that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


def send_call(client: httpx.Client, call: Call) -> Any:  # noqa: ANN401  # JSON
    """Send a call once; return what its `read` makes of the answer. Raises ServerFailed for anything but a 200."""
    answer = client.post(
        call.path, content=call.body, headers={"Content-Type": call.content_type, **dict(call.headers)}
    )
    if answer.status_code != _OK:
        raise ServerFailed(f"{call.path} answered {answer.status_code}: {answer.text[:_LOG_CHARACTERS]}")
    return call.read(answer.json())


def check_answer(name: str, url: str, call: Call) -> None:
    """Ask once. Raises ServerFailed when the answer is not the expected one."""
    with httpx.Client(base_url=url, timeout=START_SECONDS, trust_env=False) as client:
        answer = send_call(client, call)
    if answer != call.expected:
        raise ServerFailed(f"{name} answered {answer!r} instead of {call.expected!r}")


def _wait_for_answer(server: Server, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(base_url=url, timeout=START_SECONDS, trust_env=False) as client:
        while not _is_ready(client, server):
            if process.poll() is not None:
                raise ServerFailed(
                    f"{server.name} ended with {process.returncode}; the end of its log:\n{_read_end(log)}"
                )
            if time.monotonic() > deadline:
                raise ServerFailed(f"{server.name} is not ready after {START_SECONDS:g} s; its log:\n{_read_end(log)}")
            time.sleep(_POLL_SECONDS)
    check_answer(server.name, url, server.call)


def _is_ready(client: httpx.Client, server: Server) -> bool:
    try:
        return client.get(server.ready).status_code == _OK
    except httpx.TransportError:
        return False


def _read_end(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG_CHARACTERS:]
