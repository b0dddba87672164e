"""The node's configuration files: bound to this machine, in the cluster's own folders."""

import json
import tomllib
from pathlib import Path

from local_cluster.addresses import BRIDGE_ADDRESS
from local_cluster.node_configuration import (
    PAUSE_IMAGE,
    render_containerd,
    render_kube_proxy,
    render_kubelet,
    render_network,
    render_recycler,
    render_storage,
)
from local_cluster.state import Cluster


def test_containerd_keeps_to_its_own_folders_and_needs_no_extra_capability(cluster: Cluster) -> None:
    settings = tomllib.loads(render_containerd(cluster, Path("/usr/lib/cni")))
    cri = settings["plugins"]["io.containerd.grpc.v1.cri"]
    assert settings["root"].startswith("/var/lib/scoring-operator/trial/")
    assert settings["state"].startswith("/run/scoring-operator/trial/")
    assert settings["grpc"]["address"] == "/run/scoring-operator/trial/containerd.sock"
    assert cri["restrict_oom_score_adj"]
    assert cri["netns_mounts_under_state_dir"]
    assert cri["sandbox_image"] == PAUSE_IMAGE
    assert cri["stream_server_address"] == "127.0.0.1"
    assert cri["registry"] == {"config_path": str(cluster.registries_folder)}


def test_kubelet_listens_on_the_bridge_and_asks_who_calls(cluster: Cluster) -> None:
    settings = render_kubelet(cluster, Path("/etc/resolv.conf"))
    assert settings["address"] == BRIDGE_ADDRESS
    assert settings["healthzBindAddress"] == "127.0.0.1"
    assert settings["authentication"]["anonymous"] == {"enabled": False}
    assert settings["authorization"] == {"mode": "Webhook"}
    assert settings["failCgroupV1"] is False


def test_kube_proxy_offers_node_ports_to_this_machine_only(cluster: Cluster) -> None:
    settings = render_kube_proxy(cluster, Path("/x"))
    assert settings["nodePortAddresses"] == [f"{BRIDGE_ADDRESS}/32"]
    assert settings["healthzBindAddress"].startswith("127.0.0.1:")
    assert settings["metricsBindAddress"].startswith("127.0.0.1:")


def test_network_is_named_after_the_cluster_so_that_its_rules_can_be_told_apart(cluster: Cluster) -> None:
    network = render_network(cluster)
    assert network["name"] == "scoring-trial"
    assert [plugin["type"] for plugin in network["plugins"]] == ["bridge", "portmap"]


def test_storage_has_a_default_class_and_volumes_of_the_cluster(cluster: Cluster) -> None:
    storage_class, *volumes = render_storage(cluster)["items"]
    assert storage_class["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert len(volumes) == 12
    for volume in volumes:
        assert volume["spec"]["storageClassName"] == storage_class["metadata"]["name"]
        assert volume["spec"]["accessModes"] == ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"]
        assert volume["spec"]["hostPath"]["path"].startswith("/var/lib/scoring-operator/trial/volumes/")


def test_everything_rendered_is_plain_json(cluster: Cluster) -> None:
    for rendered in (render_network(cluster), render_recycler(), render_storage(cluster)):
        assert json.loads(json.dumps(rendered)) == rendered
