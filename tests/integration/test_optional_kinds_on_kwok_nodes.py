"""Kinds that a cluster may lack: they may be absent, appear and go while the operator runs, against a real API server with the real CRDs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubectl import Kubectl
from local_clusters import run_local_cluster
from operator_processes import OperatorProcess
from scoring_models import ScoringModels
from waiting import wait_for

PROMETHEUS = {"serverAddress": "http://prometheus.monitoring:9090"}
IN_FLIGHT = {"type": "requestsInFlight", "target": 4, **PROMETHEUS}
ORDERS = {"type": "prometheus", "query": "sum(orders_waiting)", "target": 10, **PROMETHEUS}
Install = Callable[[str], None]


@pytest.fixture
def install(kubectl: Kubectl, tmp_path: Path) -> Iterator[Install]:
    """Yield a function that installs the CRDs of another project; they go with the test."""
    files: list[Path] = []

    def apply(project: str) -> None:
        file = tmp_path / f"{project}.yaml"
        file.write_text(run_local_cluster("crds", project))
        files.append(file)
        kubectl("apply", "--server-side", "-f", str(file))
        kubectl("wait", "--for=condition=Established", "crd", "--all")

    yield apply
    for file in files:
        # The API server may take minutes to finish a CRD that it has hardly begun to serve.
        kubectl("delete", "--ignore-not-found", "--wait=false", "-f", str(file))


def test_model_that_needs_keda_serves_without_it_and_is_scaled_once_it_is_installed(
    models: ScoringModels, install: Install, operator: OperatorProcess
) -> None:
    models.apply(autoscaling={"minReplicas": 0, "maxReplicas": 5, "metrics": [IN_FLIGHT, ORDERS]})
    inactive = wait_for(lambda: models.find_condition("ScalingInactive"), "the condition")
    assert inactive["reason"] == "KedaNotInstalled"
    models.wait_until_ready()
    install("keda")
    spec = wait_for(lambda: models.kubectl.find("scaledobject", "faq"), "the ScaledObject, without a restart")["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (0, 5)
    assert [trigger["type"] for trigger in spec["triggers"]] == ["prometheus", "prometheus"]
    wait_for(lambda: models.find_condition("ScalingInactive") is None, "the condition to go")
    assert models.kubectl.find("hpa", "faq") is None
    models.apply(autoscaling={"maxReplicas": 5})
    wait_for(lambda: models.kubectl.find("hpa", "faq"), "the HorizontalPodAutoscaler in its place")
    assert models.kubectl.find("scaledobject", "faq") is None
    assert operator.is_healthy()


def test_monitor_comes_with_its_kind_and_models_live_on_when_that_goes(
    models: ScoringModels, install: Install, kubectl: Kubectl, operator: OperatorProcess
) -> None:
    models.apply()
    models.wait_until_ready()
    install("prometheus-operator")
    wait_for(
        lambda: "servicemonitors" in kubectl("api-resources", "--api-group=monitoring.coreos.com", "-o", "name"),
        "the kind to be served",
    )
    monitor = wait_for(lambda: models.kubectl.find("servicemonitor", "faq"), "the ServiceMonitor")
    assert monitor["spec"]["selector"] == {"matchLabels": {"scoring.dev/model": "faq"}}
    kubectl("delete", "crd", "servicemonitors.monitoring.coreos.com")
    models.kubectl("scale", "scoringmodel", "faq", "--replicas=2")
    wait_for(lambda: models.find_ready().get("message") == "2 of 2 replicas ready.", "two replicas")
    assert operator.is_healthy()
