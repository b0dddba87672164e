"""KServe's controller as a contender: plain Deployments ("Standard" mode), nothing but itself. Above `contenders`.

Its definitions and configuration are those of its Go module, which `local_cluster/tools/kserve` pins. Its webhooks are not registered: it serves
them, and nobody calls it, which spares it work. No Ingress is made, as ours makes none.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from benchmarks.operator.api_server import Manifest
from benchmarks.operator.clusters import NAMESPACE, FreshCluster
from benchmarks.operator.contenders import EDITED, Contender
from benchmarks.operator.counting import OwnRequests
from benchmarks.operator.processes import Operator, find_free_port
from local_cluster.certificates import ensure_server_certificate
from local_cluster.control_plane import apply_definitions
from local_cluster.definitions import find_source, read_definitions
from local_cluster.programs import get_programs, program_path

SERVICES = "/apis/serving.kserve.io/v1beta1/{}inferenceservices"
RUNTIMES = f"/apis/serving.kserve.io/v1alpha1/namespaces/{NAMESPACE}/servingruntimes"
SYSTEM_NAMESPACE = "kserve"
RUNTIME = "sklearn"
PROGRAM = "kserve-manager"

_CONFIGURATION = "config/configmap/inferenceservice.yaml"
_CHILDREN = frozenset({"deployments", "services", "horizontalpodautoscalers", "ingresses"})
_KINDS = frozenset({"inferenceservices", "servingruntimes", "clusterservingruntimes", "clusterstoragecontainers"})
# Kubernetes' own controllers write statuses and scales of the children, and the benchmark creates and deletes; the rest is KServe's. It has caches
# for its own kinds and children, and asks for ConfigMaps, Secrets and service accounts each time.
_OWN = OwnRequests(
    writes=frozenset(
        {(kind, "", verb) for kind in _CHILDREN for verb in ("POST", "PUT", "PATCH")}
        | {("inferenceservices", sub, verb) for sub in ("", "status") for verb in ("PUT", "PATCH")}
    ),
    reads=_CHILDREN | _KINDS - {"inferenceservices"} | {"configmaps", "secrets", "serviceaccounts"},
    lists=_CHILDREN | _KINDS | {"pods"},
    event_source="v1beta1Controllers",
)


async def _install(cluster: FreshCluster) -> None:
    get_programs([PROGRAM], lambda _: None)
    apply_definitions(cluster.local, read_definitions("kserve"))
    await cluster.api.create("/api/v1/namespaces", {"metadata": {"name": SYSTEM_NAMESPACE}})
    published = (find_source("kserve").folder / _CONFIGURATION).read_text(encoding="utf-8")
    await cluster.api.create(
        f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/configmaps", build_configuration(yaml.safe_load(published))
    )
    await cluster.api.create(RUNTIMES, build_runtime())


def build_configuration(published: Manifest) -> Manifest:
    """Return KServe's published configuration without its examples: plain Deployments, no Istio, no Ingress."""
    data: dict[str, str] = {name: text for name, text in published["data"].items() if name != "_example"}
    ingress: dict[str, Any] = json.loads(data["ingress"])
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": published["metadata"]["name"], "namespace": SYSTEM_NAMESPACE},
        "data": {
            **data,
            "deploy": json.dumps({"defaultDeploymentMode": "Standard"}),
            "ingress": json.dumps({**ingress, "disableIstioVirtualHost": True, "disableIngressCreation": True}),
        },
    }


def build_runtime() -> Manifest:
    """Return a ServingRuntime in the shape of KServe's own for scikit-learn."""
    container = {
        "name": "kserve-container",
        "image": "localhost/sklearnserver:benchmark",
        "args": ["--model_name={{.Name}}", "--model_dir=/mnt/models", "--http_port=8080"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": RUNTIME, "namespace": NAMESPACE},
        "spec": {
            "supportedModelFormats": [{"name": "sklearn", "version": "1", "autoSelect": True, "priority": 1}],
            "protocolVersions": ["v1", "v2"],
            "containers": [container],
        },
    }


def _build_operator(cluster: FreshCluster, log: Path) -> Operator:
    # Go looks for temporary files, and KServe for the certificate of its webhooks, where TMPDIR says.
    temporary = cluster.local.folder / "kserve"
    ensure_server_certificate(cluster.local, temporary / "k8s-webhook-server" / "serving-certs", "localhost")
    health, metrics, webhook = (find_free_port() for _ in range(3))
    command: list[str | Path] = [
        program_path(PROGRAM),
        f"--health-probe-addr=127.0.0.1:{health}",
        f"--metrics-addr=127.0.0.1:{metrics}",
        f"--webhook-port={webhook}",
    ]
    environment = {
        "KUBECONFIG": str(cluster.local.kubeconfig),
        "POD_NAMESPACE": SYSTEM_NAMESPACE,
        "TMPDIR": str(temporary),
    }
    return Operator(command, environment, f"http://127.0.0.1:{health}/readyz", log)


def build_service(name: str) -> Manifest:
    """Return an InferenceService that asks for the same as our ordinary ScoringModel."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "predictor": {
                "minReplicas": 1,
                "maxReplicas": 3,
                "scaleMetric": "cpu",
                "scaleTarget": 70,
                "model": {
                    "modelFormat": {"name": "sklearn"},
                    "runtime": RUNTIME,
                    "storageUri": f"https://models.example.com/{name}.tar",
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "16Mi"},
                        "limits": {"cpu": "1", "memory": "1Gi"},
                    },
                },
            }
        },
    }


def _build_edit(value: str) -> Manifest:
    return {"spec": {"predictor": {"model": {"env": [{"name": EDITED, "value": value}]}}}}


KSERVE = Contender(
    name="kserve",
    models=SERVICES,
    suffix="-predictor",
    own=_OWN,
    install=_install,
    build_operator=_build_operator,
    build_model=build_service,
    has_told=lambda _: True,  # It does not look at its autoscalers.
    build_edit=_build_edit,
)
