"""The command line: its answers, its refusals and its exit status."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from local_cluster.state import REPOSITORY, Addon, Cluster, Record, save_record

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_program() -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "local_cluster", *arguments]
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("kubeconfig",), "there is no cluster 'scoring'"),
        (("status", "--name", "gone"), "there is no cluster 'gone'"),
        (("load-image", "base"), "there is no cluster 'scoring'"),
        (("program", "k3s"), "no program 'k3s'"),
        (("up", "--name", "Not A Name"), "cluster name"),
        (("up", "--provider", "kind", "--with", "keda"), "--provider local"),
        (
            ("crds", "istio"),
            "there are cert-manager, gateway-api, karpenter, keda, kserve, kustomize-controller, prometheus-operator, source-controller",
        ),
    ],
)
def test_refusal_is_one_message_without_a_traceback(run_program: Run, arguments: tuple[str, ...], message: str) -> None:
    result = run_program(*arguments)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments", [("up", "--node", "two"), ("up", "--provider", "minikube"), ("up", "--with", "istio"), ("nothing",)]
)
def test_unknown_words_are_refused_with_the_usage(run_program: Run, arguments: tuple[str, ...]) -> None:
    result = run_program(*arguments)
    assert result.returncode == 2
    assert "Usage" in result.stderr


def test_down_of_a_cluster_that_is_not_there_succeeds(run_program: Run) -> None:
    assert run_program("down", "--name", "gone").returncode == 0


def test_status_of_a_dead_cluster_lists_its_parts_and_fails(run_program: Run, cluster: Cluster) -> None:
    save_record(cluster, Record(ports={"etcd": 21001, "kube-apiserver": 21000}))
    result = run_program("status", "--name", "trial", "--output", "json")
    assert result.returncode == 1
    found = json.loads(result.stdout)
    assert found["healthy"] is False
    assert found["server"] == "https://127.0.0.1:21000"
    assert {"name": "etcd", "address": "127.0.0.1:21001", "pid": None} in found["parts"]


def test_status_lists_the_add_ons_with_the_other_parts(run_program: Run, cluster: Cluster) -> None:
    save_record(cluster, Record(addons=[Addon.KEDA], ports={"keda-operator": 21007, "keda-operator/health": 21008}))
    found = json.loads(run_program("status", "--name", "trial", "--output", "json").stdout)
    names = [part["name"] for part in found["parts"]]
    assert names[-2:] == ["keda-operator", "keda-adapter"]
    assert {"name": "keda-operator", "address": "127.0.0.1:21007", "pid": None} in found["parts"]


def test_cluster_without_a_real_node_takes_no_images(run_program: Run, cluster: Cluster) -> None:
    save_record(cluster, Record())
    result = run_program("load-image", "base", "--name", "trial")
    assert result.returncode == 1
    assert "no real node" in result.stderr


def test_node_kind_of_a_cluster_cannot_be_changed_while_it_exists(run_program: Run, cluster: Cluster) -> None:
    save_record(cluster, Record(node="none"))
    result = run_program("up", "--name", "trial", "--node", "real")
    assert result.returncode == 1
    assert "take it down" in result.stderr
