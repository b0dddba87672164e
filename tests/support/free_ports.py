"""Free ports, for programs that have to be told one."""

import random
import socket

RANGE = range(10_000, 20_000)
"""Below those that Linux gives to outgoing connections, which could take a free one before its program does, and below the local cluster's."""


def find_free_port() -> int:
    """Return a TCP port that nobody uses now at any address of this machine."""
    for port in random.sample(RANGE, len(RANGE)):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no port from {RANGE.start} to {RANGE.stop - 1} is free")
