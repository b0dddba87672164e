"""The kinds of object that the operator works with, and the labels and annotations it puts on them."""

from dataclasses import dataclass

from scoring_operator.api import API_VERSION, GROUP, Manifest

MANAGER = "scoring-operator"
"""Field manager of server-side apply, value of the managed-by label, and source of events."""

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MODEL_LABEL = f"{GROUP}/model"
HASH_ANNOTATION = f"{GROUP}/rendered-hash"


@dataclass(frozen=True)
class Kind:
    """One kind of the API: how it is written in a manifest and in a URL."""

    api_version: str
    name: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version inside the group."""
        return self.api_version.rpartition("/")[2]


SCORING_MODEL = Kind(API_VERSION, "ScoringModel", "scoringmodels")
HARDWARE_CLASS = Kind(API_VERSION, "HardwareClass", "hardwareclasses", namespaced=False)
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
SERVICE = Kind("v1", "Service", "services")
AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
POD = Kind("v1", "Pod", "pods")
EVENT = Kind("v1", "Event", "events")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")

CHILDREN = (DEPLOYMENT, SERVICE, AUTOSCALER)
"""What the operator applies for a ScoringModel, in this order."""

WATCHED = (SCORING_MODEL, HARDWARE_CLASS, *CHILDREN, POD)
"""What the operator keeps in its store; of the children and pods, only those that carry its label."""

KINDS_BY_NAME = {kind.name: kind for kind in WATCHED}


@dataclass(frozen=True)
class Key:
    """A ScoringModel's namespace and name: what is reconciled."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def find_model_key(kind: Kind, body: Manifest) -> Key | None:
    """Return the key of the ScoringModel that an object is or belongs to; None for an object of nobody's."""
    metadata = body["metadata"]
    if kind is SCORING_MODEL:
        return Key(metadata["namespace"], metadata["name"])
    name = metadata.get("labels", {}).get(MODEL_LABEL)
    return Key(metadata["namespace"], name) if name and kind.namespaced else None


def select_managed(kind: Kind) -> str | None:
    """Return the label selector of the objects of a kind that concern the operator; None for all of them."""
    return None if kind in {SCORING_MODEL, HARDWARE_CLASS} else f"{MANAGED_BY_LABEL}={MANAGER}"
