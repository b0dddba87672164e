"""spec.autoscaling of a ScoringModel: what decides the number of replicas, and between which bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from scoring_operator.api.base import ApiModel, DnsName, Label, Quantity, cel, validated

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

MAX_PERCENTAGE = 1000

MIN_ABOVE_MAX = "minReplicas must not be above maxReplicas"
ZERO_NEEDS_KEDA = (
    f"minReplicas 0 needs a metric that tells of work while no replica runs: one of type {', '.join(KEDA_TYPES)}"
)
NO_MIX = (
    f"metrics of type {' and '.join(NAMED_TYPES)} cannot stand beside those that KEDA reads ({', '.join(KEDA_TYPES)})"
)
PERCENTAGE = f"target of cpu and memory is a percentage of what is requested: a whole number from 1 to {MAX_PERCENTAGE}"
TARGET_REQUIRED = "target is required for every type of metric but keda, and not allowed for that"


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
        None, description="How the measure is compared with the trigger's target. Left out, KEDA's default."
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
            *(rule.render() for rule in FIELD_RULES),
        )
    )

    type: MetricType = Field(
        description=(
            "cpu, memory: what is used, in percent of what is requested. requestsInFlight, requestsPerSecond: per replica. "
            "queueWaitMilliseconds: the average wait for the model. pods, external: a metric of the cluster's custom or external metrics API. "
            "prometheus: a query. keda: any other trigger of KEDA's. The last seven but pods and external need KEDA in the cluster."
        )
    )
    target: Quantity | None = Field(
        None,
        description="Replicas are added above this value and removed below it: a percentage for cpu and memory, else a quantity per replica.",
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
        return self


class ScalingPolicy(ApiModel):
    """How much may change in a period."""

    type: Literal["Pods", "Percent"] = Field(
        description="Whether value is a number of replicas or a percentage of them."
    )
    value: int = Field(ge=1, le=100000, description="Replicas, or percent, that may come or go in a period.")
    period_seconds: int = Field(ge=1, le=1800, description="Length of the period.")


class ScalingRules(ApiModel):
    """How fast the number of replicas may change in one direction."""

    stabilization_window_seconds: int | None = Field(
        None, ge=0, le=3600, description="The most cautious wish of this many past seconds counts."
    )
    select_policy: Literal["Max", "Min", "Disabled"] | None = Field(
        None, description="Which policy counts: the one that allows most, least, or none at all."
    )
    policies: tuple[ScalingPolicy, ...] | None = Field(None, max_length=16, description="What may change in a period.")
    tolerance: Quantity | None = Field(
        None,
        description="How far the measure may be from its target before anything changes, such as 50m for 5 percent.",
    )


class Behavior(ApiModel):
    """How fast replicas are added and removed, as in a HorizontalPodAutoscaler."""

    scale_up: ScalingRules | None = Field(None, description="When replicas are added.")
    scale_down: ScalingRules | None = Field(None, description="When replicas are removed.")


class Keda(ApiModel):
    """How KEDA looks at metrics that only it can read."""

    polling_interval: int | None = Field(
        None, ge=1, le=86400, description="Seconds between two looks while no replica runs. Left out: KEDA's 30."
    )
    cooldown_period: int | None = Field(
        None, ge=0, le=604800, description="Seconds without work before the last replica goes. Left out: KEDA's 300."
    )


class Autoscaling(ApiModel):
    """Let measured load choose the number of replicas.

    By a HorizontalPodAutoscaler; by a KEDA ScaledObject when a metric needs it. Never by both.
    """

    model_config = ConfigDict(
        json_schema_extra=validated(
            cel("self.minReplicas <= self.maxReplicas", MIN_ABOVE_MAX),
            cel(
                f"self.minReplicas > 0 || self.metrics.exists(metric, metric.type in {list(KEDA_TYPES)})",
                ZERO_NEEDS_KEDA,
            ),
            cel(
                f"!self.metrics.exists(metric, metric.type in {list(KEDA_TYPES)}) || "
                f"!self.metrics.exists(metric, metric.type in {list(NAMED_TYPES)})",
                NO_MIX,
            ),
        )
    )

    min_replicas: int = Field(
        1, ge=0, le=10000, description="Never fewer replicas than this. 0: none while there is no work; needs KEDA."
    )
    max_replicas: int = Field(ge=1, le=10000, description="Never more replicas than this.")
    metrics: tuple[Metric, ...] = Field(
        (Metric(type="cpu", target=70),),
        min_length=1,
        max_length=8,
        description="What decides. By default the CPU, at 70 percent of the CPU requested.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    behavior: Behavior | None = Field(
        None, description="How fast replicas are added and removed. Left out: Kubernetes' defaults."
    )
    keda: Keda | None = Field(None, description="How KEDA looks at the metrics that only it can read.")

    @property
    def needs_keda(self) -> bool:
        """Tell whether a metric is one that only KEDA can read."""
        return any(metric.type in KEDA_TYPES for metric in self.metrics)

    @model_validator(mode="after")
    def check_bounds(self) -> Self:
        """Return the autoscaling, unless its bounds or metrics contradict each other."""
        if self.min_replicas > self.max_replicas:
            raise ValueError(MIN_ABOVE_MAX)
        if self.min_replicas == 0 and not self.needs_keda:
            raise ValueError(ZERO_NEEDS_KEDA)
        if self.needs_keda and any(metric.type in NAMED_TYPES for metric in self.metrics):
            raise ValueError(NO_MIX)
        return self
