"""HardwareClass: what one replica gets, and on which nodes it runs."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, WithJsonSchema, model_validator

from scoring_operator.api.base import (
    ApiModel,
    ApiObject,
    DnsName,
    Image,
    Label,
    Resources,
    cel,
    is_positive,
    validated,
)
from scoring_operator.api.image import PullSecrets

ONE_ACCELERATOR = (
    "accelerator and resourceClaim exclude each other: a device comes from a device plug-in or from a DRA driver"
)
KEY_MISSING = "a toleration without a key needs operator Exists, and then is for taints of every key"
VALUE_UNUSED = "value is for operator Equal: leave it out with operator Exists"
SECONDS_UNUSED = "tolerationSeconds is for effect NoExecute: set effect to that, or leave tolerationSeconds out"

Opaque = Annotated[Mapping[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]
"""A part of a pod that is handed on as it is; the API server checks it when the Deployment is applied."""


class Accelerator(ApiModel):
    """An accelerator that each replica has for itself."""

    resource: str = Field(
        "nvidia.com/gpu",
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
        description="The extended resource that nodes advertise for it.",
    )
    count: int = Field(1, ge=1, le=64, description="Accelerators per replica.")


class ResourceClaim(ApiModel):
    """Devices that each replica claims through Dynamic Resource Allocation."""

    device_class_name: DnsName = Field(description="The DeviceClass that the driver made, such as gpu.nvidia.com.")
    count: int = Field(1, ge=1, le=32, description="Devices per replica.")
    selectors: tuple[Annotated[str, Field(min_length=1, max_length=10240)], ...] = Field(
        (), max_length=32, description="CEL expressions that a device must fulfil, as in a ResourceClaim."
    )


class Affinity(ApiModel):
    """Which nodes and which neighbours replicas prefer or need, as in a pod."""

    node_affinity: Opaque | None = Field(None, description="As spec.affinity.nodeAffinity of a pod.")
    pod_affinity: Opaque | None = Field(None, description="As spec.affinity.podAffinity of a pod.")
    pod_anti_affinity: Opaque | None = Field(None, description="As spec.affinity.podAntiAffinity of a pod.")


class TopologySpread(ApiModel):
    """How a model's replicas are spread over nodes or zones."""

    topology_key: str = Field(
        min_length=1,
        max_length=317,
        description="Label of nodes whose values are the places, such as topology.kubernetes.io/zone.",
    )
    max_skew: int = Field(1, ge=1, le=1000, description="By how many replicas places may differ.")
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = Field(
        "ScheduleAnyway", description="Whether a replica that would break the rule runs all the same, or waits."
    )


class Toleration(ApiModel):
    """A taint that replicas tolerate, as in a pod."""

    model_config = ConfigDict(
        json_schema_extra=validated(
            cel("self.operator == 'Exists' || (has(self.key) && self.key != '')", KEY_MISSING),
            cel("self.operator != 'Exists' || !has(self.value) || self.value == ''", VALUE_UNUSED),
            cel(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                SECONDS_UNUSED,
            ),
        )
    )

    key: str | None = Field(
        None, max_length=253, description="Key of the taint; left out with operator Exists, every key."
    )
    operator: Literal["Exists", "Equal"] = Field("Equal", description="Exists: any value. Equal: this value.")
    value: str | None = Field(None, max_length=63, description="Value of the taint, with operator Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Effect of the taint; left out, every effect."
    )
    toleration_seconds: int | None = Field(
        None,
        ge=0,
        description="With effect NoExecute: seconds that a replica stays on a node with the taint; left out, for ever.",
    )

    @model_validator(mode="after")
    def check_fields(self) -> Self:
        """Return the toleration, unless no pod could have it."""
        if self.operator != "Exists" and not self.key:
            raise ValueError(KEY_MISSING)
        if self.operator == "Exists" and self.value:
            raise ValueError(VALUE_UNUSED)
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError(SECONDS_UNUSED)
        return self


def list_devices(resources: Mapping[str, Any]) -> list[str]:
    """Return the names of the devices among requests and limits: those of device plug-ins have a / in them."""
    amounts = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    return sorted(name for name, amount in amounts.items() if "/" in name and is_positive(amount))


class HardwareClassSpec(ApiModel):
    """What one replica gets, and on which nodes it runs."""

    model_config = ConfigDict(
        json_schema_extra=validated(cel("!has(self.accelerator) || !has(self.resourceClaim)", ONE_ACCELERATOR))
    )

    default: bool = Field(
        False, description="Use this class for the ScoringModels that name none. At most one class should be marked."
    )
    resources: Resources = Field(description="Requests and limits of one replica.")
    accelerator: Accelerator | None = Field(None, description="The accelerator of each replica, such as one GPU.")
    resource_claim: ResourceClaim | None = Field(
        None, description="Devices through Dynamic Resource Allocation, instead of accelerator."
    )
    node_selector: Annotated[Mapping[str, Label], Field(max_length=32)] | None = Field(
        None, description="Labels that a node must have."
    )
    affinity: Affinity | None = Field(None, description="Nodes and neighbours that replicas prefer or need.")
    topology_spread: tuple[TopologySpread, ...] | None = Field(
        None,
        max_length=8,
        description="How the replicas of one model are spread. Left out: over nodes and zones as far as that goes. An empty list: not at all.",
    )
    tolerations: tuple[Toleration, ...] = Field((), max_length=32, description="Taints that replicas tolerate.")
    runtime_class_name: DnsName | None = Field(None, description="RuntimeClass of the pods, such as nvidia.")
    priority_class_name: DnsName | None = Field(None, description="PriorityClass of the pods.")
    image: Image | None = Field(
        None, description="Image of the serving runtime on this hardware, instead of the operator's own for the format."
    )
    image_pull_secrets: PullSecrets = Field(
        (),
        description="Secrets with logins for image registries. They are looked for in each model's namespace: put them into all that use the class.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    image_variant: str | None = Field(
        None,
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        description="Which of the operator's images suits this hardware: with cuda, <format>-cuda where there is one, else <format>.",
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="Threads of the numerical libraries. Left out: the CPU limit, rounded up."
    )

    @property
    def has_devices(self) -> bool:
        """Tell whether each replica has devices for itself, of which there may be no spare one."""
        plugged = list_devices(self.resources.model_dump())
        return bool(plugged) or self.accelerator is not None or self.resource_claim is not None

    @model_validator(mode="after")
    def check_devices(self) -> Self:
        """Return the class, unless it asks for devices in two ways."""
        if self.accelerator is not None and self.resource_claim is not None:
            raise ValueError(ONE_ACCELERATOR)
        return self


class HardwareClassStatus(ApiModel):
    """What the cluster has room for now. Written by the operator only."""

    observed_generation: int | None = Field(None, ge=0, description="The newest generation that the operator has seen.")
    models: int | None = Field(None, description="ScoringModels that use the class.")
    replicas: int | None = Field(None, description="Replicas of theirs that run on a node.")
    pending: int | None = Field(None, description="Replicas of theirs that no node has taken yet.")
    rolling: int | None = Field(None, description="Models that roll out after a change of the class.")
    waiting: int | None = Field(None, description="Models that wait for their turn to do so.")
    capacity: int | None = Field(
        None,
        description="How many more replicas the nodes would take now, by what pods request. Those that are pending are not subtracted.",
    )
    nodes: int | None = Field(None, description="Nodes that suit the class, whether they have room or not.")


class HardwareClass(ApiObject):
    """A kind of hardware that models run on: resources, accelerator and nodes. Owned by the platform team."""

    spec: HardwareClassSpec

    @property
    def name(self) -> str:
        """Name of the class."""
        return self.metadata.name
