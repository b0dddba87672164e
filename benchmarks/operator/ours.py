"""Our operator as a contender. Above `contenders`."""

from pathlib import Path

from benchmarks.operator.api_server import Manifest, find_path
from benchmarks.operator.clusters import NAMESPACE, ROOT, FreshCluster
from benchmarks.operator.contenders import EDITED, Contender
from benchmarks.operator.counting import OwnRequests
from benchmarks.operator.processes import Operator, find_free_port
from benchmarks.serving.environments import get_image_environment
from local_cluster.control_plane import apply_definitions
from scoring_operator.kinds import CHILDREN, MANAGER

MODELS = "/apis/scoring.dev/v1beta1/{}scoringmodels"
CLASSES = "/apis/scoring.dev/v1beta1/{}hardwareclasses"
RUNTIME_IMAGES = '{"sklearn": "localhost/runtime-sklearn:benchmark", "fetch": "localhost/runtime-fetch:benchmark"}'
CLASS: Manifest = {
    "apiVersion": "scoring.dev/v1beta1",
    "kind": "HardwareClass",
    "metadata": {"name": "cpu"},
    "spec": {
        "default": True,
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    },
}

_CHILDREN = frozenset(kind.plural for kind in CHILDREN)
# Nobody else applies these kinds or writes these statuses. GETs of children are the operator's, since controllers have watches and
# the benchmark looks by watches; GETs of ScoringModels are not counted: the garbage collector asks for the owner of each child.
_OWN = OwnRequests(
    writes=frozenset(
        {(kind, "", "APPLY") for kind in _CHILDREN}
        | {
            (kind, "status", verb)
            for kind in ("scoringmodels", "hardwareclasses")
            for verb in ("APPLY", "PUT", "PATCH")
        }
    ),
    reads=_CHILDREN | {"hardwareclasses"},
    lists=_CHILDREN | {"hardwareclasses", "scoringmodels", "pods"},
    event_source=MANAGER,
)


async def _install(cluster: FreshCluster) -> None:
    files = sorted((ROOT / "crds").glob("*.yaml"))
    apply_definitions(cluster.local, "---\n".join(file.read_text(encoding="utf-8") for file in files))
    await cluster.api.create(find_path(CLASSES), CLASS)


def _build_operator(cluster: FreshCluster, log: Path) -> Operator:
    port = find_free_port()
    environment = {
        "KUBECONFIG": str(cluster.local.kubeconfig),
        "SCORING_OPERATOR_RUNTIME_IMAGES": RUNTIME_IMAGES,
        "SCORING_OPERATOR_HEALTH_PORT": str(port),
        "SCORING_OPERATOR_METRICS_PORT": str(find_free_port()),
        "SCORING_OPERATOR_RESYNC_SECONDS": "3600",
        "SCORING_OPERATOR_LEADER_ELECTION": "false",
    }
    python = get_image_environment(ROOT / "operator" / "requirements.txt", ROOT / "operator")
    command = [python.with_name("scoring-operator")]
    return Operator(command, environment, f"http://127.0.0.1:{port}/healthz", log)


def build_model(name: str) -> Manifest:
    """Return an ordinary ScoringModel with autoscaling."""
    return {
        "apiVersion": "scoring.dev/v1beta1",
        "kind": "ScoringModel",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "model": {
                "uri": f"file:///models/{name}.tar",
                "format": "sklearn",
                "digest": f"sha256:{'0' * 64}",
            },
            "hardwareClass": CLASS["metadata"]["name"],
            "autoscaling": {"minReplicas": 1, "maxReplicas": 3, "metrics": [{"type": "cpu", "target": 70}]},
        },
    }


def has_told_of_metrics(model: Manifest) -> bool:
    """Tell whether a ScoringModel says that its autoscaler finds no metrics, which KWOK's pods have none of."""
    return any(one["type"] == "ScalingInactive" for one in model.get("status", {}).get("conditions", []))


def _build_edit(value: str) -> Manifest:
    return {"spec": {"runtime": {"env": [{"name": EDITED, "value": value}]}}}


OURS = Contender(
    name="ours",
    models=MODELS,
    suffix="",
    own=_OWN,
    install=_install,
    build_operator=_build_operator,
    build_model=build_model,
    has_told=has_told_of_metrics,
    build_edit=_build_edit,
)
