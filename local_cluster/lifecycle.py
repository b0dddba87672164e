"""The story of a local cluster: what `up` and `down` do, step by step."""

from collections.abc import Sequence

from local_cluster import node, removal
from local_cluster.addons import raise_addons
from local_cluster.control_plane import create_control_plane, start_control_plane, wait_for_control_plane
from local_cluster.errors import LeftBehind, LocalClusterError, MachineNotReady, StateInvalid
from local_cluster.locks import lock
from local_cluster.machine import find_problems, install_packages, missing_packages
from local_cluster.programs import get_programs
from local_cluster.releases import needed_programs
from local_cluster.state import Addon, Cluster, NodeKind, Record, load_record, lock_path, save_record
from local_cluster.steps import console, step


def bring_up(cluster: Cluster, kind: NodeKind, addons: Sequence[Addon] = ()) -> None:
    """Bring a cluster up, or mend what died of one that is up; MachineNotReady before anything was started.

    Add-ons come to those that the cluster has already.
    """
    with lock(lock_path(cluster), console.print):
        _bring_up(cluster, _recall(cluster, kind, addons))


def _bring_up(cluster: Cluster, record: Record) -> None:
    with step("checking the machine"):
        if problems := find_problems(cluster, record):
            raise MachineNotReady(problems)
    save_record(cluster, record)
    if packages := missing_packages(record.node):
        with step(f"installing {', '.join(packages)}"):
            install_packages(packages)
    with step("programs") as report:
        get_programs(needed_programs(record), report)
    if record.node == "real":
        with step("network"):
            node.prepare_node(cluster, record)
    with step("control plane") as report:
        _raise_control_plane(cluster, record, report)
    if record.node == "real":
        node.raise_node(cluster, record)
    raise_addons(cluster, record)


def _recall(cluster: Cluster, kind: NodeKind, addons: Sequence[Addon]) -> Record:
    record = load_record(cluster) or Record(node=kind)
    if record.node != kind:
        raise LocalClusterError(
            f"cluster {cluster.name!r} exists with --node {record.node}; take it down before it comes up with --node {kind}"
        )
    record.addons = sorted({*record.addons, *addons})
    return record


def _raise_control_plane(cluster: Cluster, record: Record, report: node.Report) -> None:
    if record.created:
        dead = start_control_plane(cluster)
        report(f"restarted {', '.join(dead)}" if dead else "runs already")
    else:
        create_control_plane(cluster, record)
    wait_for_control_plane(cluster)


def bring_down(cluster: Cluster) -> None:
    """Stop and remove everything of a cluster; LeftBehind with the list when something remains."""
    with lock(lock_path(cluster), console.print):
        _bring_down(cluster)


def _bring_down(cluster: Cluster) -> None:
    try:
        record = load_record(cluster)
    except StateInvalid as error:
        console.print(f"{error}; going on without it")
        record = None
    had_node = removal.has_node(cluster, record)
    for removed in removal.remove_cluster(cluster, record):
        console.print(f"removed {removed}", soft_wrap=True)
    leftovers = removal.find_leftovers(cluster)
    if had_node:
        leftovers += removal.find_node_leftovers(cluster)
    if leftovers:
        raise LeftBehind(leftovers)
    console.print(f"cluster {cluster.name!r} is down; programs and images stay in the cache")
