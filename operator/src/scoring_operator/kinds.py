"""The kinds of object that the operator works with, and the labels and annotations it puts on them."""

from dataclasses import dataclass, replace
from functools import cached_property

from scoring_operator.api import API_VERSION, GROUP, Manifest

MANAGER = "scoring-operator"
"""Field manager of server-side apply, value of the managed-by label, and source of events."""

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MODEL_LABEL = f"{GROUP}/model"
HASH_ANNOTATION = f"{GROUP}/rendered-hash"
FETCH_CONTAINER = "fetch"
"""Name of the init container that fetches the artifact."""


@dataclass(frozen=True)
class Kind:
    """One kind of the API: how it is written in a manifest and in a URL."""

    api_version: str
    name: str
    plural: str
    namespaced: bool = True
    is_optional: bool = False
    """Whether a cluster may lack the kind: its CRD is somebody else's, or its API is switched off."""
    is_immutable: bool = False
    """Whether the API server refuses every change of the spec, so that a change means a new object of the same name."""
    is_metadata_only: bool = False
    """Whether nothing but the metadata is read."""
    suffix: str = ""
    """What follows the model's name in that of its child: for a second child of one kind."""

    @cached_property
    def stored(self) -> "Kind":
        """The kind as it is watched and stored: all its children together."""
        return replace(self, suffix="") if self.suffix else self

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
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
CLAIM_TEMPLATE = Kind(
    "resource.k8s.io/v1", "ResourceClaimTemplate", "resourceclaimtemplates", is_optional=True, is_immutable=True
)
SCALED_OBJECT = Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects", is_optional=True)
INGRESS = Kind("networking.k8s.io/v1", "Ingress", "ingresses")
INGRESS_CLASS = Kind("networking.k8s.io/v1", "IngressClass", "ingressclasses", namespaced=False)
HTTP_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", is_optional=True)
REDIRECT = replace(HTTP_ROUTE, suffix=".redirect")
"""The HTTPRoute from HTTP to HTTPS. No model can have a dot in its name, and so none an HTTPRoute of this one."""

GATEWAY = Kind("gateway.networking.k8s.io/v1", "Gateway", "gateways", is_optional=True)
SERVICE_MONITOR = Kind("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors", is_optional=True)
POD = Kind("v1", "Pod", "pods")
CRD = Kind(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    namespaced=False,
    is_metadata_only=True,
)
NODE = Kind("v1", "Node", "nodes", namespaced=False)
EVENT = Kind("v1", "Event", "events")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")

CHILDREN = (
    SERVICE_ACCOUNT,
    CLAIM_TEMPLATE,
    DEPLOYMENT,
    SERVICE,
    AUTOSCALER,
    SCALED_OBJECT,
    DISRUPTION_BUDGET,
    NETWORK_POLICY,
    INGRESS,
    HTTP_ROUTE,
    REDIRECT,
    SERVICE_MONITOR,
)
"""What the operator applies for a ScoringModel."""

AUTOSCALERS = (AUTOSCALER, SCALED_OBJECT)
"""Kinds that choose the number of replicas; a model has one of them at most."""

NAMED_BY_PODS = (SERVICE_ACCOUNT, CLAIM_TEMPLATE)
"""Kinds without which no pod that names them can be made."""

ROUTES = (INGRESS, HTTP_ROUTE)
ROUTE_CHILDREN = (*ROUTES, REDIRECT)
"""Kinds that claim a host and path; those of others are looked at too."""

ROUTERS = (INGRESS_CLASS, GATEWAY)
"""Kinds that stand for what takes the routes: the platform team's, for all namespaces."""

WATCHED = (SCORING_MODEL, HARDWARE_CLASS, *(kind for kind in CHILDREN if not kind.suffix), *ROUTERS, POD, CRD)
"""What the operator always keeps in its store."""

OPTIONAL = tuple(kind for kind in WATCHED if kind.is_optional)
"""Kinds that a cluster may lack; they are looked for at the start, at each resync, and when their CRD appears or goes."""

CRD_KINDS = {f"{kind.plural}.{kind.group}": kind for kind in OPTIONAL}
"""Optional kinds by the name of their CustomResourceDefinition."""


def find_path(kind: Kind, namespace: str | None, *parts: str) -> str:
    """Return the URL path of a kind's objects, in all namespaces when `namespace` is None, or of one object or subresource of it."""
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    scope = (f"namespaces/{namespace}",) if namespace else ()
    return "/".join((root, *scope, kind.plural, *parts))


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
    # Who has made it comes first: the label of a child may have been changed or taken away.
    owners = metadata.get("ownerReferences") or []
    owner = next((one["name"] for one in owners if one.get("controller") and is_model(one)), None)
    name = owner or metadata.get("labels", {}).get(MODEL_LABEL)
    return Key(metadata["namespace"], name) if name and kind.namespaced else None


def is_model(reference: Manifest) -> bool:
    """Tell whether a reference to an object names a ScoringModel."""
    return bool(reference["kind"] == SCORING_MODEL.name and reference["apiVersion"].partition("/")[0] == GROUP)


@dataclass(frozen=True)
class Scope:
    """What of the cluster the operator looks at."""

    namespaces: tuple[str, ...] = ()
    """Namespaces whose models it serves; none named: all."""

    is_capacity_told: bool = True
    """Whether it counts what fits on the nodes, for which it must know all nodes and all pods."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that it keeps in its store."""
        return (*WATCHED, NODE) if self.is_capacity_told else WATCHED

    def find_namespaces(self, kind: Kind) -> tuple[str | None, ...]:
        """Return the namespaces to list for a kind; None stands for the whole cluster."""
        is_ours = kind.namespaced and kind not in ROUTERS
        return self.namespaces if self.namespaces and is_ours else (None,)

    def find_selector(self, kind: Kind) -> str | None:
        """Return the label selector of the objects of a kind that concern the operator; None for all of them."""
        is_ours_only = (kind in CHILDREN and kind not in ROUTES) or (kind is POD and not self.is_capacity_told)
        return f"{MANAGED_BY_LABEL}={MANAGER}" if is_ours_only else None
