"""The commands that kind and Docker would get; neither runs here."""

import re
from pathlib import Path

import pytest

from local_cluster import kind
from local_cluster.builder import Build
from local_cluster.errors import MachineNotReady
from local_cluster.state import Cluster


def test_cluster_gets_a_version_a_kubeconfig_and_metrics_without_running_kind(cluster: Cluster) -> None:
    create, apply, patch = kind.create_commands(cluster)
    assert create[:5] == ["kind", "create", "cluster", "--name", "trial"]
    assert create[create.index("--image") + 1] == kind.NODE_IMAGE
    assert re.fullmatch(r"docker\.io/kindest/node:v1\.36\.\d+@sha256:[0-9a-f]{64}", kind.NODE_IMAGE)
    assert str(cluster.kubeconfig) in create
    assert apply[-1].startswith("https://github.com/kubernetes-sigs/metrics-server/releases/download/v0.9.0/")
    assert "--kubelet-insecure-tls" in patch[-1]


def test_node_image_can_be_chosen_without_running_kind(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORING_KIND_IMAGE", "kindest/node:v1.35.0")
    assert "kindest/node:v1.35.0" in kind.create_commands(cluster)[0]


def test_images_are_built_by_docker_and_loaded_by_name_without_running_kind(cluster: Cluster) -> None:
    build = Build(Path("/p/Dockerfile"), Path("/p"), "localhost/a:1", {"VARIANT": "torch"})
    words = [
        "docker",
        "build",
        "--file",
        "/p/Dockerfile",
        "--tag",
        "localhost/a:1",
        "--build-arg",
        "VARIANT=torch",
        "/p",
    ]
    assert kind.build_command(build) == words
    assert kind.load_command(cluster, "localhost/a:1") == [
        "kind",
        "load",
        "docker-image",
        "localhost/a:1",
        "--name",
        "trial",
    ]


def test_removal_names_the_cluster_without_running_kind(cluster: Cluster) -> None:
    assert kind.delete_command(cluster)[:5] == ["kind", "delete", "cluster", "--name", "trial"]


def test_everything_missing_is_told_at_once_without_running_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MachineNotReady) as caught:
        kind.check_kind()
    assert [problem.split()[0] for problem in caught.value.problems] == ["docker", "kind", "kubectl"]
