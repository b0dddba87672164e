"""An operator that serves some namespaces only, with the Roles that the chart gives it there and next to nothing in the cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from helm_chart import NAMESPACE, render_chart
from identities import write_kubeconfig
from kubectl import Kubectl
from operator_processes import OperatorProcess
from scoring_models import ScoringModels, open_namespace
from scoring_operator.api import UNSEEN_GENERATION
from waiting import wait_for

RELEASE = "scoring-operator-of-one"
ROLE_KINDS = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}

Served = tuple[ScoringModels, ScoringModels]


@pytest.fixture
def served(kubectl: Kubectl, operator: OperatorProcess, tmp_path: Path) -> Iterator[Served]:
    """Yield the models of a namespace that the one running operator serves, and of one that it does not."""
    operator.stop()
    with open_namespace(kubectl, "served") as ours, open_namespace(kubectl, "other") as others:
        namespace = ours.kubectl.namespace
        values = ("--set", f"namespaces={{{namespace}}},rbac.aggregate=false")
        for body in render_chart(*values, release=RELEASE):
            if body["kind"] in ROLE_KINDS:
                kubectl.in_namespace(body["metadata"].get("namespace", NAMESPACE)).apply(body)
        kubeconfig = write_kubeconfig(kubectl.in_namespace(NAMESPACE), RELEASE, tmp_path / "kubeconfig")
        log = tmp_path / "operator.log"
        process = OperatorProcess(kubectl, log, kubeconfig=kubeconfig, namespaces=[namespace])
        process.start()
        yield ours, others
        assert process.is_healthy()
        process.stop()
        assert "cannot" not in log.read_text()
        kubectl("delete", "clusterrole,clusterrolebinding", RELEASE)
        kubectl.in_namespace(NAMESPACE)("delete", "serviceaccount", RELEASE)
    operator.start()


def test_models_of_named_namespaces_are_served_and_no_others(served: Served) -> None:
    ours, others = served
    others.apply("ignored")
    ours.apply(autoscaling={"maxReplicas": 3}, endpoint={"host": "served.example.com", "ingressClassName": "none"})
    ours.wait_until_ready()
    route = wait_for(lambda: ours.find_condition("RouteReady"), "the condition of the route")
    assert route["reason"] == "IngressClassNotFound"
    assert ours.kubectl.find("ingress", "faq") is not None
    ours.kubectl("delete", "deployment", "faq")
    wait_for(lambda: ours.kubectl.find("deployment", "faq"), "the Deployment again")
    ours.wait_until_ready()
    assert others.kubectl.get("scoringmodel", "ignored")["status"] == {"observedGeneration": UNSEEN_GENERATION}
    assert others.kubectl.find("deployment", "ignored") is None
