"""One measure of spec.autoscaling: where it is read, and what it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from scoring_operator.api.base import (
    ApiModel,
    DnsName,
    Label,
    Quantity,
    cel,
    is_positive,
    require_positive,
    validated,
)

MetricType = Literal[
    "cpu",
    "memory",
    "requestsInFlight",
    "requestsPerSecond",
    "queueWaitMilliseconds",
    "pods",
    "external",
    "prometheus",
    "keda",
]
RESOURCE_TYPES = ("cpu", "memory")
RUNTIME_TYPES = ("requestsInFlight", "requestsPerSecond", "queueWaitMilliseconds")
"""Measures of the serving runtime's own, read from Prometheus."""

NAMED_TYPES = ("pods", "external")
PROMETHEUS_TYPES = (*RUNTIME_TYPES, "prometheus")
KEDA_TYPES = (*PROMETHEUS_TYPES, "keda")
"""Metrics that only KEDA can read."""

WAKING_TYPES = ("prometheus", "keda")
"""Metrics that can tell of work while no replica runs. The runtime's own are series of the replicas, and end with the last one."""

MAX_PERCENTAGE = 1000
PERCENTAGE = f"target of cpu and memory is a percentage of what is requested: a whole number from 1 to {MAX_PERCENTAGE}"
TARGET_REQUIRED = "target is required for every type of metric but keda, and not allowed for that"
TARGET_NOT_POSITIVE = "target must be more than 0"


@dataclass(frozen=True)
class FieldRule:
    """Which types of metric have a field, told to the API server as CEL and checked again here."""

    field: str
    types: tuple[str, ...]
    is_required: bool = True

    @property
    def message(self) -> str:
        """What to say when the rule does not hold."""
        types = " and ".join(self.types)
        if self.is_required:
            return f"{self.field} is required for metrics of type {types}, and not allowed for others"
        return f"{self.field} is allowed for metrics of type {types} only"

    def render(self) -> dict[str, str]:
        """Return the rule for `x-kubernetes-validations`."""
        is_one = f"self.type in {list(self.types)}"
        given = f"has(self.{self.field})"
        return cel(f"({is_one}) == {given}" if self.is_required else f"!{given} || {is_one}", self.message)

    def holds(self, metric_type: str, *, is_given: bool) -> bool:
        """Tell whether a metric of that type may have, or lack, the field."""
        is_one = metric_type in self.types
        return is_one == is_given if self.is_required else is_one or not is_given


FIELD_RULES = (
    FieldRule("name", NAMED_TYPES),
    FieldRule("selector", NAMED_TYPES, is_required=False),
    FieldRule("query", ("prometheus",)),
    FieldRule("serverAddress", PROMETHEUS_TYPES, is_required=False),
    FieldRule("trigger", ("keda",)),
)


class AuthenticationReference(ApiModel):
    """A KEDA TriggerAuthentication, which holds what the trigger needs to log in."""

    name: DnsName = Field(description="Name of the TriggerAuthentication.")
    kind: Literal["TriggerAuthentication", "ClusterTriggerAuthentication"] = Field(
        "TriggerAuthentication", description="In the model's namespace, or for the whole cluster."
    )


class Trigger(ApiModel):
    """A trigger of KEDA's, as in a ScaledObject."""

    type: str = Field(
        min_length=1, max_length=63, description="Type of the trigger, such as kafka, rabbitmq, cron or prometheus."
    )
    metadata: Annotated[Mapping[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)] = Field(
        description="Settings of the trigger, as KEDA documents them for its type."
    )
    metric_type: Literal["AverageValue", "Value", "Utilization"] | None = Field(
        None,
        description=(
            "How the measure is compared with the trigger's target. AverageValue: divided by the replicas. Value: as it is. Utilization: in "
            "percent of what is requested, for triggers cpu and memory. Left out: KEDA's default."
        ),
    )
    authentication_ref: AuthenticationReference | None = Field(
        None, description="What the trigger logs in with. Never put secrets into metadata."
    )


class Metric(ApiModel):
    """One measure that decides the number of replicas; with several, the one that asks for most replicas decides."""

    model_config = ConfigDict(
        json_schema_extra=validated(
            cel("(self.type == 'keda') != has(self.target)", TARGET_REQUIRED),
            cel(
                f"!(self.type in {list(RESOURCE_TYPES)}) || !has(self.target) || "
                f"(type(self.target) == int && int(self.target) >= 1 && int(self.target) <= {MAX_PERCENTAGE})",
                PERCENTAGE,
            ),
            cel(
                f"self.type in {list(RESOURCE_TYPES)} || !has(self.target) || {require_positive('self.target')}",
                TARGET_NOT_POSITIVE,
            ),
            *(rule.render() for rule in FIELD_RULES),
        )
    )

    type: MetricType = Field(
        description=(
            "cpu, memory: what is used, in percent of what is requested. requestsInFlight, requestsPerSecond: per replica. "
            "queueWaitMilliseconds: the average wait for the model. pods, external: a metric of the cluster's custom or external metrics API. "
            "prometheus: a query. keda: any other trigger of KEDA's. requestsInFlight, requestsPerSecond, queueWaitMilliseconds, prometheus and "
            "keda need KEDA in the cluster."
        )
    )
    target: Quantity | None = Field(
        None,
        description=(
            "Replicas are added above this value and removed below it: a percentage for cpu and memory; milliseconds for queueWaitMilliseconds, "
            "whatever the number of replicas; else a quantity per replica. Not for keda, whose trigger has its own."
        ),
    )
    name: str | None = Field(
        None, min_length=1, max_length=253, description="Name of the metric, for types pods and external."
    )
    selector: Annotated[Mapping[str, Label], Field(max_length=32)] | None = Field(
        None, description="Labels that the metric must have, for types pods and external."
    )
    query: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        description="PromQL that yields one number, for type prometheus. It is divided by the replicas and compared with target.",
    )
    server_address: str | None = Field(
        None,
        min_length=1,
        max_length=2048,
        description="URL of the Prometheus server. Left out: the operator's setting.",
    )
    trigger: Trigger | None = Field(None, description="The trigger, for type keda.")

    @model_validator(mode="after")
    def check_fields(self) -> Self:
        """Return the metric if it has the fields that its type needs, and no others."""
        given = self.model_dump(by_alias=True, exclude_none=True)
        for rule in FIELD_RULES:
            if not rule.holds(self.type, is_given=rule.field in given):
                raise ValueError(rule.message)
        if (self.type == "keda") == (self.target is not None):
            raise ValueError(TARGET_REQUIRED)
        is_percentage = isinstance(self.target, int) and 1 <= self.target <= MAX_PERCENTAGE
        if self.type in RESOURCE_TYPES and not is_percentage:
            raise ValueError(PERCENTAGE)
        if self.target is not None and not is_positive(self.target):
            raise ValueError(TARGET_NOT_POSITIVE)
        return self
