"""Names, folders and what is remembered of a cluster."""

import stat
from pathlib import Path

import pytest

from local_cluster.errors import LocalClusterError, StateInvalid
from local_cluster.state import Addon, Cluster, Record, load_record, other_clusters, save_record, write_whole


@pytest.mark.parametrize("name", ["", "A", "1a", "a_b", "../a", "a/b", "a" * 31, "a\n"])
def test_cluster_is_refused_when_its_name_could_leave_its_folder(name: str) -> None:
    with pytest.raises(LocalClusterError, match="cluster name"):
        Cluster(name)


def test_record_survives_being_saved_and_loaded(cluster: Cluster) -> None:
    sysctls = {"net.ipv4.ip_forward": "0"}
    record = Record(node="real", addons=[Addon.KEDA], created=True, ports={"etcd": 21000}, sysctls_before=sysctls)
    save_record(cluster, record)
    assert load_record(cluster) == record


def test_record_is_none_when_there_is_no_cluster(cluster: Cluster) -> None:
    assert load_record(cluster) is None


@pytest.mark.parametrize("text", ["", "{broken", "[]", '{"unknown": 1}', '{"addons": ["istio"]}', "7"])
def test_damaged_record_says_how_to_get_rid_of_it(cluster: Cluster, text: str) -> None:
    cluster.folder.mkdir(parents=True)
    (cluster.folder / "cluster.json").write_text(text)
    with pytest.raises(StateInvalid, match="down --name trial"):
        load_record(cluster)


def test_other_clusters_leave_out_the_own_and_the_damaged(cluster: Cluster) -> None:
    save_record(cluster, Record())
    save_record(Cluster("second"), Record(node="real"))
    (Cluster("third").folder).mkdir(parents=True)
    (Cluster("third").folder / "cluster.json").write_text("{")
    assert [(other.name, record.node) for other, record in other_clusters(cluster)] == [("second", "real")]


def test_socket_path_is_short_enough_for_the_longest_name() -> None:
    assert len(str(Cluster("a" * 30).containerd_socket)) < 108


def test_written_file_is_private_and_leaves_no_part(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "secret"
    path.parent.mkdir()
    path.with_name("secret.part").write_text("of a run that was killed")
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
