"""HardwareClass: what one replica gets, and on which nodes it runs."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from scoring_operator.api.base import ApiModel, ApiObject, DnsName, Image, Label, Resources


class Accelerator(ApiModel):
    """An accelerator that each replica has for itself."""

    resource: str = Field(
        "nvidia.com/gpu",
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
        description="The extended resource that nodes advertise for it.",
    )
    count: int = Field(1, ge=1, le=64, description="Accelerators per replica.")


class Toleration(ApiModel):
    """A taint that replicas tolerate, as in a pod."""

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


class HardwareClassSpec(ApiModel):
    """What one replica gets, and on which nodes it runs."""

    default: bool = Field(
        False, description="Use this class for the ScoringModels that name none. At most one class should be marked."
    )
    resources: Resources = Field(description="Requests and limits of one replica.")
    accelerator: Accelerator | None = Field(None, description="The accelerator of each replica, such as one GPU.")
    node_selector: Annotated[Mapping[str, Label], Field(max_length=32)] | None = Field(
        None, description="Labels that a node must have."
    )
    tolerations: tuple[Toleration, ...] = Field((), max_length=32, description="Taints that replicas tolerate.")
    runtime_class_name: DnsName | None = Field(None, description="RuntimeClass of the pods, such as nvidia.")
    priority_class_name: DnsName | None = Field(None, description="PriorityClass of the pods.")
    image: Image | None = Field(
        None, description="Image of the serving runtime on this hardware, instead of the operator's own for the format."
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="Threads of the numerical libraries. Left out: the CPU limit, rounded up."
    )


class HardwareClass(ApiObject):
    """A kind of hardware that models run on: resources, accelerator and nodes. Owned by the platform team."""

    spec: HardwareClassSpec

    @property
    def name(self) -> str:
        """Name of the class."""
        return self.metadata.name
