"""Which processes belong to a cluster, and that no other is ever ended."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cluster import processes
from local_cluster.errors import NotHealthy
from local_cluster.processes import (
    Process,
    find_processes,
    is_part_of,
    log_tail,
    read_process,
    start_process,
    stop_process,
    wait_until,
)
from local_cluster.state import Cluster


def process(*arguments: str) -> Process:
    return Process(1, 1, arguments)


def test_control_plane_process_belongs_to_its_cluster_only(cluster: Cluster) -> None:
    seen = process(f"{cluster.folder}/bin/etcd", "--name=node0")
    assert is_part_of(seen, cluster)
    assert not is_part_of(seen, Cluster("trial-2"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("/usr/bin/containerd", "--config", "{folder}/node/containerd.toml"),
        ("/usr/bin/containerd-shim-runc-v2", "-address", "/run/scoring-operator/trial/containerd.sock"),
        ("kubelet", "--config={folder}/node/kubelet.json"),
        ("/usr/bin/socat", "-lf", "{folder}/node/logs/forwarder.log"),
        ("/cache/keda-operator", "--kubeconfig={folder}/addons/keda/keda-operator.kubeconfig"),
        ("/cache/prometheus", "--config.file={folder}/addons/prometheus/prometheus.json"),
    ],
)
def test_node_process_belongs_to_the_cluster_whose_folder_it_names(
    cluster: Cluster, arguments: tuple[str, ...]
) -> None:
    assert is_part_of(process(*(word.format(folder=cluster.folder) for word in arguments)), cluster)


@pytest.mark.parametrize(
    "arguments",
    [
        ("/usr/bin/containerd",),
        ("/usr/bin/containerd", "--config", "/etc/containerd/config.toml"),
        ("/usr/bin/containerd", "--config", "{folder}-2/node/containerd.toml"),
        ("tail", "-f", "{folder}/logs/etcd.log"),
        ("vim", "{folder}/kubeconfig"),
        ("/usr/bin/etcd", "--data-dir=/var/lib/etcd"),
        ("/usr/bin/prometheus", "--config.file=/etc/prometheus/prometheus.yml"),
    ],
)
def test_process_of_somebody_else_never_belongs_to_a_cluster(cluster: Cluster, arguments: tuple[str, ...]) -> None:
    assert not is_part_of(process(*(word.format(folder=cluster.folder) for word in arguments)), cluster)


@pytest.fixture
def fake_etcd(cluster: Cluster, tmp_path: Path) -> Iterator[int]:
    """A process that looks like the cluster's etcd; it ignores the kind request to end."""
    program = cluster.folder / "bin" / "etcd"
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    log = tmp_path / "log"
    pid = start_process([program, "-c", code], log)
    wait_until(lambda: "ready" in log_tail(log), "the process is ready", 20)
    yield pid
    seen = read_process(pid)
    if seen and is_part_of(seen, cluster):
        stop_process(seen, 0.1)


# subprocess complains about a child that it started and that was never waited for; here that is meant.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_process_is_found_and_ended_even_when_it_ignores_the_request(cluster: Cluster, fake_etcd: int) -> None:
    found = find_processes(cluster)
    assert [seen.pid for seen in found] == [fake_etcd]
    assert stop_process(found[0], 0.2)
    assert find_processes(cluster) == []


def test_oldest_process_is_found_first_when_numbers_have_begun_anew(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("/usr/bin/socat", "-lf", f"{cluster.folder}/node/logs/forwarder.log")
    parent, child = Process(32000, 1, arguments), Process(300, 2, arguments)
    monkeypatch.setattr(processes, "all_processes", lambda: [child, parent])
    assert find_processes(cluster) == [parent, child]


def test_process_lives_on_when_only_its_number_matches() -> None:
    program = "print('started', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"started\n"
        seen = read_process(child.pid)
        assert seen is not None
        earlier = Process(seen.pid, seen.started_ticks - 1, seen.arguments)
        assert stop_process(earlier, 0.1)
        assert child.poll() is None
        child.communicate(b"\n")
    assert child.returncode == 0


def test_ended_process_counts_as_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert read_process(child.pid) is None
    assert stop_process(Process(child.pid, 1, ("etcd",)), 0.1)


def test_start_time_is_read_even_when_the_program_name_has_brackets(tmp_path: Path) -> None:
    folder = tmp_path / "42"
    folder.mkdir()
    (folder / "stat").write_text("42 (a) b (c)) S " + " ".join(str(number) for number in range(4, 53)))
    (folder / "cmdline").write_bytes(b"/bin/etcd\0--name=x\0")
    assert read_process(42, tmp_path) == Process(42, 22, ("/bin/etcd", "--name=x"))


def test_zombie_and_kernel_thread_are_no_processes(tmp_path: Path) -> None:
    for pid, state, arguments in ((7, "Z", b"etcd\0"), (8, "S", b"")):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "stat").write_text(f"{pid} (x) {state} " + " ".join(["1"] * 49))
        (folder / "cmdline").write_bytes(arguments)
        assert read_process(pid, tmp_path) is None


def test_waiting_ends_with_the_end_of_the_log_when_it_is_in_vain(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("first\nbind: address already in use\n")
    with pytest.raises(NotHealthy, match="address already in use"):
        wait_until(lambda: False, "etcd answers", 0.1, log)
