"""Ports of a cluster."""

import socket

import pytest

from local_cluster import ports
from local_cluster.errors import LocalClusterError
from local_cluster.ports import CONTROL_PLANE_PORTS, choose_ports, is_free


def test_chosen_ports_differ_and_avoid_those_taken() -> None:
    first = choose_ports(CONTROL_PLANE_PORTS, [])
    second = choose_ports(CONTROL_PLANE_PORTS, first.values())
    assert len(set(first.values()) | set(second.values())) == 2 * len(CONTROL_PLANE_PORTS)


def test_port_is_not_free_while_something_listens() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not is_free(listener.getsockname()[1])


def test_no_ports_left_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "RANGE", range(21000, 21001))
    with pytest.raises(LocalClusterError, match="no free ports"):
        choose_ports(("a", "b"), [])
