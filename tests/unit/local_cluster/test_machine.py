"""The checks before anything is started: everything at once, with the remedy."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from local_cluster import machine
from local_cluster.errors import MachineNotReady
from local_cluster.machine import find_problems, missing_packages
from local_cluster.state import Cluster, Record, save_record

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def enough_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "program_problems", lambda _: [])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, 1 << 40))


def test_machine_is_ready_for_a_control_plane_without_root(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert find_problems(cluster, Record()) == []


def test_all_problems_are_told_at_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 10, 0))
    problems = "\n".join(find_problems(cluster, Record(node="real")))
    assert "apt-get install" in problems
    assert "containerd" in problems
    assert "GiB must be free" in problems
    assert "--node none" in problems


def test_cluster_that_is_there_needs_little_room_to_be_mended(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, 3 << 30))
    assert "GiB must be free" in "\n".join(find_problems(cluster, Record(node="real")))
    assert "GiB must be free" not in "\n".join(find_problems(cluster, Record(node="real", created=True)))


def test_missing_packages_are_no_problem_where_they_can_be_installed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    assert missing_packages("none") == ["openssl"]
    assert find_problems(cluster, Record()) == []


def test_other_system_than_linux_is_sent_to_kind(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    [problem] = find_problems(cluster, Record())
    assert "--provider kind" in problem


def test_second_real_node_is_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(machine, "_cgroup_problems", list)
    monkeypatch.setattr(machine, "_kernel_problems", list)
    monkeypatch.setattr(machine, "_conflict_problems", list)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    save_record(Cluster("first"), Record(node="real"))
    [problem] = find_problems(cluster, Record(node="real"))
    assert "'first'" in problem


@pytest.mark.parametrize(
    ("destination", "overlaps"),
    [
        ("10.246.0.0/24", True),
        ("10.0.0.0/8", True),
        ("10.96.7.0/24", True),
        ("default", False),
        ("192.168.1.0/24", False),
        ("10.247.0.1", False),
    ],
)
def test_route_of_another_network_is_recognised(destination: str, overlaps: bool) -> None:
    assert machine._overlaps_ours(destination) is overlaps


def test_missing_busybox_is_not_static(tmp_path: Path) -> None:
    assert not machine.is_static_busybox(tmp_path / "busybox")
    assert not machine.is_static_busybox(Path("/bin/bash"))


def test_message_lists_every_problem() -> None:
    assert str(MachineNotReady(["first", "second"])).splitlines()[1:] == ["  - first", "  - second"]
