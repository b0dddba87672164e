"""Clients that mean no good, from addresses of the loopback of their own, and one that only wants to be served meanwhile."""

import contextlib
import socket
import statistics
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import httpx

ATTACKER = "127.0.0.66"
HEAD = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
TRICKLE_SECONDS = 0.2


@dataclass
class Served:
    """What the other client was answered: the statuses, and the seconds that each answer took."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the seconds."""
        return statistics.median(self.seconds)


def ask_repeatedly(ask: Callable[[], httpx.Response], seconds: float) -> Served:
    """Ask for so long, one request after the other. An answer that does not come is an error."""
    served = Served()
    end = perf_counter() + seconds
    while (started := perf_counter()) < end:
        served.statuses[ask().status_code] += 1
        served.seconds.append(perf_counter() - started)
    return served


def connect(port: int, address: str = ATTACKER) -> socket.socket:
    """Return a connection from an address of the attacker's."""
    return socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(address, 0))


@contextlib.contextmanager
def hold(port: int, count: int, first: bytes, following: bytes = b"") -> Iterator[list[socket.socket]]:
    """Open connections, send the first bytes on each, and one more byte every now and then until the block ends."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(port)) for _ in range(count)]
        for connection in connections:
            connection.sendall(first)
        ended = threading.Event()
        thread = threading.Thread(target=_trickle, args=(connections, following, ended))
        thread.start()
        try:
            yield connections
        finally:
            ended.set()
            thread.join()


def _trickle(connections: list[socket.socket], following: bytes, ended: threading.Event) -> None:
    while following and not ended.wait(TRICKLE_SECONDS):
        for connection in connections:
            # The server has cut some of them by then.
            with contextlib.suppress(OSError):
                connection.sendall(following)


@contextlib.contextmanager
def flood(port: int, request: bytes, threads: int = 4) -> Iterator[Counter[bytes]]:
    """Send a request again and again, on new connections, until the block ends; yields how often which status came."""
    ended = threading.Event()
    statuses: Counter[bytes] = Counter()

    def send() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError), connect(port) as connection:
                connection.sendall(request)
                statuses[connection.recv(4096)[9:12]] += 1

    started = [threading.Thread(target=send) for _ in range(threads)]
    for thread in started:
        thread.start()
    try:
        yield statuses
    finally:
        ended.set()
        for thread in started:
            thread.join()


def read_to_end(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def is_closed(connection: socket.socket) -> bool:
    """Tell whether the other side has closed a connection, whatever it sent before."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def count_unsent_bytes(port: int) -> int:
    """Return how much of the answers from a port the kernel has, and no client has taken."""
    tables = Path("/proc/net").glob("tcp*")  # tcp6 only where there is IPv6
    lines = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    return sum(int(queues.partition(":")[0], 16) for _, local, _, _, queues, *_ in lines if int(local[-4:], 16) == port)
