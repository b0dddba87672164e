"""Connections: how many a client may hold open. granian takes so many in all, idle ones too, and no more until one ends.

A thread looks once a second at the process's own sockets. While fewer than half of all connections are in use it does
nothing; above that, each client keeps its newest, up to its number, and the longest silent of the others are cut.

Answers that nobody takes would stay in memory as long as their connection, which granian never ends: the kernel does.
"""

import contextlib
import math
import os
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

MAX_CONNECTIONS = 4096
"""granian counts connections, idle ones too; fewer would lock out probes."""

LOOK_SECONDS = 1.0
LISTEN_SECONDS = 0.02
# struct tcp_info (linux/tcp.h): the milliseconds since data were received last are its 12th 32-bit number behind 8 bytes.
_TCP_INFO_BYTES = 104
_LAST_DATA_RECEIVED = slice(52, 56)


@dataclass(frozen=True)
class Connection:
    """An open connection: its descriptor, its client's address and port, and for how long nothing has come from there."""

    descriptor: int
    peer: tuple[str, int]
    silent_milliseconds: int


class ConnectionLimit:
    """Cuts what one client holds beyond `most`, while more than half of `all_connections` are in use; `report` gets how many."""

    def __init__(self, port: int, most: int, all_connections: int, is_exempt: Callable[[str], bool]) -> None:
        # How long an answer may wait for its client; to be set before `watch`.
        self.unread_seconds = math.inf
        self.report: Callable[[int], None] = lambda _connections: None
        self._port = port
        self._most = most
        self._threshold = all_connections // 2
        self._is_exempt = is_exempt

    def watch(self) -> None:
        """Look once a second from now on, on a thread of its own."""
        threading.Thread(target=self._watch, name="connections", daemon=True).start()

    def cut(self) -> int:
        """Cut what is too many; return how many were."""
        descriptors = os.listdir("/proc/self/fd")  # noqa: PTH208  # a path for each of thousands of numbers would cost more
        if len(descriptors) <= self._threshold:
            return 0
        surplus = choose_surplus(list_connections(descriptors, self._port), self._most, self._is_exempt)
        for connection in surplus:
            _cut(connection)
        return len(surplus)

    def _watch(self) -> None:
        pause = threading.Event()
        # granian listens only when it has the application.
        while not math.isinf(self.unread_seconds) and not end_unread(self._port, self.unread_seconds):
            pause.wait(LISTEN_SECONDS)
        while True:
            pause.wait(LOOK_SECONDS)
            # Counted, not logged: a log that nobody reads would stop this thread.
            self.report(self.cut())


def end_unread(port: int, seconds: float) -> bool:
    """Have the kernel end each connection to this port whose client takes nothing of an answer for so long.

    Set on the listening socket, which hands it on to all that it accepts. Returns whether that was there.
    """
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208  # as above
        with contextlib.suppress(OSError), _open(int(descriptor)) as found:
            is_inet = found.family in {socket.AF_INET, socket.AF_INET6}
            if is_inet and found.getsockname()[1] == port and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))
                return True
    return False


def list_connections(descriptors: Iterable[str], port: int) -> list[Connection]:
    """Return the connections to this port among the process's descriptors."""
    found = (_look_at(int(descriptor), port) for descriptor in descriptors)
    return [connection for connection in found if connection is not None]


def choose_surplus(connections: Iterable[Connection], most: int, is_exempt: Callable[[str], bool]) -> list[Connection]:
    """Return those beyond each client's number, the longest silent first."""
    by_client: Mapping[str, list[Connection]] = defaultdict(list)
    for connection in connections:
        by_client[connection.peer[0]].append(connection)
    surplus: list[Connection] = []
    for client, own in by_client.items():
        if len(own) > most and not is_exempt(client):
            surplus += sorted(own, key=lambda each: -each.silent_milliseconds)[: len(own) - most]
    return surplus


def _look_at(descriptor: int, port: int) -> Connection | None:
    """Return the connection behind a descriptor; None for another file, or one that is closed meanwhile."""
    try:
        with _open(descriptor) as connection:
            peer = connection.getpeername()
            if connection.family not in {socket.AF_INET, socket.AF_INET6} or connection.getsockname()[1] != port:
                return None
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return None
    return Connection(descriptor, peer[:2], int.from_bytes(info[_LAST_DATA_RECEIVED], "little"))


def _cut(connection: Connection) -> None:
    """Shut a connection down, both ways, unless its number is another's by now; granian hears of it and closes it."""
    try:
        with _open(connection.descriptor) as open_one:
            if open_one.getpeername()[:2] == connection.peer:
                open_one.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _open(descriptor: int) -> socket.socket:
    """Return the socket behind a descriptor, by one of its own. Raises OSError for another file."""
    own = os.dup(descriptor)
    try:
        return socket.socket(fileno=own)
    except OSError:
        os.close(own)
        raise
