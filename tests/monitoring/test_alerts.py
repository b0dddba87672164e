"""Every alert, provoked: a real Prometheus scrapes real operators and runtimes to which that happens what the alert is for.

The rules are the chart's own, but for their times, which are cut to two seconds.
"""

import json
from pathlib import Path

from aiohttp import web

from api_proxy import ApiProxy, Fault
from kubectl import Kubectl
from operator_processes import OperatorProcess
from prometheus_servers import Prometheus, Serve
from scoring_models import ScoringModels
from traffic import GOOD, keep_asking
from waiting import wait_for

FAILING = {"input": [[0, 0, 0, 0]]}
FREED = json.dumps({"spec": {"holderIdentity": ""}})
EXTERNAL = {"type": "external", "name": "queue_length", "target": 1}


def refuse_applies(kind: str) -> Fault:
    """Return the fault that refuses each server-side apply of a kind, as an admission webhook that is down does."""

    def refuse(request: web.Request) -> web.Response | None:
        if request.method != "PATCH" or f"/{kind}/" not in request.path:
            return None
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no webhook", "code": 500}
        return web.json_response(body, status=500)

    return refuse


def be_busy(request: web.Request) -> web.Response | None:
    """Ask to be asked again in ten seconds, each time, for Deployments."""
    if "/deployments/" not in request.path:
        return None
    return web.json_response({"message": "busy"}, status=429, headers={"Retry-After": "10"})


def test_model_that_is_wrong_alerts_as_stalled_until_it_is_corrected(
    models: ScoringModels, prometheus: Prometheus
) -> None:
    labels = {"model_namespace": models.kubectl.namespace, "model": "faq"}
    models.apply(hardwareClass="tpu")
    alert = prometheus.wait_for_alert("ScoringModelStalled", **labels, reason="HardwareClassNotFound")
    assert alert["annotations"]["summary"].endswith("is stalled: HardwareClassNotFound.")
    models.apply()
    prometheus.wait_for_silence("ScoringModelStalled", **labels)


def test_model_without_a_gpu_alerts_as_not_ready_and_its_class_as_pending(
    models: ScoringModels, prometheus: Prometheus
) -> None:
    models.apply(hardwareClass="gpu", replicas=2)
    labels = {"model_namespace": models.kubectl.namespace, "model": "faq"}
    prometheus.wait_for_alert("ScoringModelNotReady", **labels, reason="Unschedulable")
    alert = prometheus.wait_for_alert("ScoringAcceleratorPending", hardware_class="gpu", accelerator="nvidia.com/gpu")
    assert alert["annotations"]["summary"].startswith("2 replicas of hardware class gpu wait")
    assert not prometheus.find_alerts("ScoringAcceleratorPending", hardware_class="cpu")


def test_autoscaler_without_its_metric_alerts(models: ScoringModels, prometheus: Prometheus) -> None:
    models.apply(autoscaling={"minReplicas": 1, "maxReplicas": 2, "metrics": [EXTERNAL]})
    labels = {"model_namespace": models.kubectl.namespace, "model": "faq"}
    # Told once metrics have been missing for a minute.
    prometheus.wait_for_alert("ScoringModelScalingInactive", **labels, reason="MetricsUnavailable")


def test_autoscaler_at_its_maximum_alerts(models: ScoringModels, prometheus: Prometheus) -> None:
    models.apply(autoscaling={"minReplicas": 1, "maxReplicas": 2, "metrics": [EXTERNAL]})
    kubectl = models.kubectl
    wait_for(lambda: kubectl.find("hpa", "faq"), "the autoscaler")
    # What Kubernetes' own controller writes when metrics ask for more; there is no such metric here.
    condition = {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas", "message": "at the maximum"}

    def mark() -> list[object]:
        patch = json.dumps({"status": {"conditions": [condition], "currentMetrics": None, "desiredReplicas": 2}})
        kubectl("patch", "hpa", "faq", "--subresource=status", "--type=merge", "--patch", patch)
        return list(prometheus.find_alerts("ScoringModelAtMaximumReplicas", model_namespace=kubectl.namespace))

    wait_for(mark, "the alert")


def test_model_that_is_not_reached_at_its_host_alerts(models: ScoringModels, prometheus: Prometheus) -> None:
    models.apply(endpoint={"host": f"{models.kubectl.namespace}.example.com", "ingressClassName": "nobody"})
    labels = {"model_namespace": models.kubectl.namespace, "model": "faq"}
    prometheus.wait_for_alert("ScoringModelRouteNotReady", **labels, reason="IngressClassNotFound")


def test_model_that_fails_on_requests_alerts(serve: Serve, prometheus: Prometheus) -> None:
    with keep_asking(serve("failing"), FAILING):
        prometheus.wait_for_alert("ScoringModelErrors", namespace="team", scoring_model="failing", severity="critical")
    assert not prometheus.find_alerts("ScoringModelOverloaded", scoring_model="failing")


def test_model_that_refuses_requests_alerts(serve: Serve, prometheus: Prometheus) -> None:
    with keep_asking(serve("overloaded", max_queue="0"), GOOD, clients=16):
        prometheus.wait_for_alert("ScoringModelOverloaded", namespace="team", scoring_model="overloaded")
    assert not prometheus.find_alerts("ScoringModelErrors", scoring_model="overloaded")


def test_model_that_misses_its_objective_alerts_and_one_without_does_not(serve: Serve, prometheus: Prometheus) -> None:
    slow, free = serve("slow", latency_objective_seconds="0.00001"), serve("free")
    with keep_asking(slow, GOOD), keep_asking(free, GOOD):
        prometheus.wait_for_alert("ScoringModelSlow", namespace="team", scoring_model="slow")
    assert not prometheus.find_alerts("ScoringModelSlow", scoring_model="free")


def test_models_whose_children_are_refused_alert_as_failing_rounds_and_the_api_server_too(
    models: ScoringModels, prometheus: Prometheus, proxied: tuple[ApiProxy, OperatorProcess]
) -> None:
    proxy, _ = proxied
    proxy.fault = refuse_applies("deployments")
    try:
        for number in range(20):
            models.apply(f"faq-{number}")
        prometheus.wait_for_alert("ScoringOperatorReconcilesFail")
        prometheus.wait_for_alert("ScoringOperatorApiErrors", namespace="scoring-system")
    finally:
        proxy.mend()
    prometheus.wait_for_silence("ScoringOperatorReconcilesFail")


def test_operator_that_hangs_on_one_model_alerts(
    models: ScoringModels, prometheus: Prometheus, proxied: tuple[ApiProxy, OperatorProcess]
) -> None:
    proxy, _ = proxied
    models.apply()
    models.wait_until_ready()
    proxy.fault = be_busy
    try:
        models.apply(replicas=2)
        prometheus.wait_for_alert("ScoringOperatorStuck", namespace="scoring-system")
    finally:
        proxy.mend()
    prometheus.wait_for_silence("ScoringOperatorStuck")


def test_operator_that_does_not_get_the_lease_alerts(
    kubectl: Kubectl, models: ScoringModels, prometheus: Prometheus, tmp_path: Path
) -> None:
    namespace = models.kubectl.namespace
    spec = {"holderIdentity": "somebody", "leaseDurationSeconds": 3600}
    metadata = {"name": "scoring-operator", "namespace": namespace}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
    models.kubectl.apply(lease)
    candidate = OperatorProcess(kubectl, tmp_path / "candidate.log", lease_namespace=namespace)
    candidate.start()
    try:
        with prometheus.scrape(candidate.metrics_port, namespace=namespace, job="operator"):
            prometheus.wait_for_alert("ScoringOperatorNoLeader", namespace=namespace)
            assert not prometheus.find_alerts("ScoringOperatorNoLeader", namespace="scoring-system")
            models.kubectl("patch", "lease", "scoring-operator", "--type=merge", "--patch", FREED)
            prometheus.wait_for_silence("ScoringOperatorNoLeader", namespace=namespace)
    finally:
        candidate.stop()


def test_operator_that_is_gone_alerts_until_it_is_back(
    prometheus: Prometheus, proxied: tuple[ApiProxy, OperatorProcess]
) -> None:
    _, operator = proxied
    operator.kill()
    try:
        prometheus.wait_for_alert("ScoringOperatorDown")
    finally:
        operator.start()
    prometheus.wait_for_silence("ScoringOperatorDown")
