"""What `down` finds and removes."""

from pathlib import Path

from local_cluster.removal import find_leftovers, find_mounts, has_node, remove_cluster
from local_cluster.state import Cluster, Record, save_record


def test_mounts_of_the_cluster_are_found_innermost_first(cluster: Cluster, tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    points = (
        "/",
        "/var/lib/scoring-operator/trial/kubelet",
        "/var/lib/scoring-operator/trial/kubelet/pods/a\\040b",
        "/var/lib/scoring-operator/trial-2/kubelet",
        "/run/scoring-operator/trial/netns/cni-1",
    )
    table.write_text("".join(f"{number} 1 0:1 / {point} rw - tmpfs tmpfs rw\n" for number, point in enumerate(points)))
    assert [str(path) for path in find_mounts(cluster, table)] == [
        "/var/lib/scoring-operator/trial/kubelet/pods/a b",
        "/var/lib/scoring-operator/trial/kubelet",
        "/run/scoring-operator/trial/netns/cni-1",
    ]


def test_removal_leaves_the_other_cluster_alone(cluster: Cluster) -> None:
    other = Cluster("second")
    save_record(cluster, Record())
    save_record(other, Record())
    removed = list(remove_cluster(cluster, Record()))
    assert removed == [f"folder {cluster.folder}"]
    assert other.folder.exists()
    assert find_leftovers(cluster) == []


def test_removal_of_a_cluster_that_is_not_there_does_nothing(cluster: Cluster) -> None:
    assert list(remove_cluster(cluster, None)) == []


def test_node_is_recognised_without_a_record_only_by_its_folders(cluster: Cluster) -> None:
    assert not has_node(cluster, None)
    assert has_node(cluster, Record(node="real"))
    assert not has_node(cluster, Record(node="none"))
