"""kwokctl's configuration and the correction of its process files."""

from typing import Any

import pytest

from local_cluster.addresses import BRIDGE_ADDRESS
from local_cluster.control_plane import correct_process_files, render_configuration
from local_cluster.ports import CONTROL_PLANE_PORTS
from local_cluster.processes import CONTROL_PLANE
from local_cluster.releases import CONTROL_PLANE_PROGRAMS, find_release
from local_cluster.state import Cluster

PORTS = {name: 21000 + number for number, name in enumerate(CONTROL_PLANE_PORTS)}


@pytest.fixture(autouse=True)
def programs_in_cache(own_folders: object) -> None:
    del own_folders
    for name in CONTROL_PLANE_PROGRAMS:
        path = find_release(name).path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        path.chmod(0o755)


def patches(configuration: dict[str, Any], component: str) -> dict[str, str]:
    found = [patch for patch in configuration["componentsPatches"] if patch["name"] == component]
    return {argument["key"]: argument["value"] for patch in found for argument in patch["extraArgs"]}


def test_everything_listens_on_loopback(cluster: Cluster) -> None:
    for node in ("none", "real"):
        configuration = render_configuration(cluster, PORTS, node)
        assert configuration["options"]["bindAddress"] == "127.0.0.1"
        assert "bind-address" not in patches(configuration, "kube-apiserver")


def test_kwok_leaves_real_nodes_alone(cluster: Cluster) -> None:
    arguments = patches(render_configuration(cluster, PORTS, "real"), "kwok-controller")
    assert arguments == {
        "manage-all-nodes": "false",
        "manage-nodes-with-annotation-selector": "kwok.x-k8s.io/node=fake",
    }


def test_pods_find_the_api_server_only_when_there_is_a_real_node(cluster: Cluster) -> None:
    real = patches(render_configuration(cluster, PORTS, "real"), "kube-apiserver")
    none = patches(render_configuration(cluster, PORTS, "none"), "kube-apiserver")
    assert real["advertise-address"] == BRIDGE_ADDRESS
    assert "advertise-address" not in none
    assert real["service-cluster-ip-range"] == none["service-cluster-ip-range"] == "10.96.0.0/16"


def test_authorisation_and_admission_are_on(cluster: Cluster) -> None:
    options = render_configuration(cluster, PORTS, "none")["options"]
    assert options["securePort"]
    assert options["kubeAuthorization"]
    assert options["kubeAdmission"]


def test_process_files_of_a_former_life_are_removed(cluster: Cluster) -> None:
    folder = cluster.folder / "pids"
    folder.mkdir(parents=True)
    (folder / "etcd.pid").write_text("1")  # The machine's first process, which is not our etcd.
    assert set(correct_process_files(cluster)) == set(CONTROL_PLANE)
    assert list(folder.iterdir()) == []
