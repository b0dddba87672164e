"""The sockets of an HTTP client, so that all it waits for can be ended at once. Used by http_client.py.

urllib3's time limits are for each wait on a socket: a server that sends a byte now and then gets round them, in headers as in
bodies.
"""

import socket
import threading
from contextlib import suppress
from typing import TypeVar
from weakref import WeakSet

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

Manager = TypeVar("Manager", bound=PoolManager)


class Sockets:
    """Those of the managers that it follows, as long as they live."""

    def __init__(self) -> None:
        self.is_abandoned = False
        self._open: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()

    def follow(self, manager: Manager) -> Manager:
        """Have a manager that is not in use yet tell of its sockets; return it."""
        sockets = self

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                sockets.add(self.sock)

        class Encrypted(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                sockets.add(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class EncryptedPool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        manager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}
        return manager

    def add(self, opened: socket.socket) -> None:
        """Follow a socket; end it at once when all have been given up."""
        with self._lock:
            self._open.add(opened)
            if self.is_abandoned:
                _end(opened)

    def abandon(self) -> None:
        """End what is waited for on every socket, now and from now on."""
        with self._lock:
            self.is_abandoned = True
            for opened in self._open:
                _end(opened)


def _end(opened: socket.socket) -> None:
    # One that has been closed meanwhile needs it no more.
    with suppress(OSError, ValueError):
        opened.shutdown(socket.SHUT_RDWR)
