"""spec.autoscaling of a ScoringModel: what decides the number of replicas, and between which bounds."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from scoring_operator.api.base import ApiModel, Quantity, cel, validated
from scoring_operator.api.metric import KEDA_TYPES, NAMED_TYPES, WAKING_TYPES, Metric

MIN_ABOVE_MAX = "minReplicas must not be above maxReplicas"
ZERO_NEEDS_WAKING = (
    f"minReplicas 0 needs a metric of type {' or '.join(WAKING_TYPES)}, which can tell of work while no replica runs, since what the "
    "replicas themselves tell ends with the last one: add such a metric, or set minReplicas to 1"
)
NO_MIX = (
    f"metrics of type {' and '.join(NAMED_TYPES)} cannot stand beside those that KEDA reads ({', '.join(KEDA_TYPES)})"
)


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
        None,
        ge=0,
        le=3600,
        description=(
            "How many seconds back the autoscaler looks: of the numbers of replicas wanted in that time it takes the one that changes least, "
            "when adding the lowest and when removing the highest. Left out: 0 when adding; when removing the cluster's, by default 300."
        ),
    )
    select_policy: Literal["Max", "Min", "Disabled"] | None = Field(
        None,
        description=(
            "Which of several policies counts. Max: the one that allows most. Min: the one that allows least. Disabled: none, so nothing changes in "
            "this direction. Left out: Max."
        ),
    )
    policies: tuple[ScalingPolicy, ...] | None = Field(
        None,
        min_length=1,
        max_length=16,
        description=(
            "How much may change in a period. Left out: in 15 seconds 4 replicas or 100 percent of them may come, whichever is more, and all may go."
        ),
    )
    tolerance: Quantity | None = Field(
        None,
        description=(
            "How far the measure may be from its target before anything changes, such as 50m for 5 percent. Left out: the cluster's, by default 10 "
            "percent. Before Kubernetes 1.35 it needs the feature gate HPAConfigurableTolerance."
        ),
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
                f"self.minReplicas > 0 || self.metrics.exists(metric, metric.type in {list(WAKING_TYPES)})",
                ZERO_NEEDS_WAKING,
            ),
            cel(
                f"!self.metrics.exists(metric, metric.type in {list(KEDA_TYPES)}) || "
                f"!self.metrics.exists(metric, metric.type in {list(NAMED_TYPES)})",
                NO_MIX,
            ),
        )
    )

    min_replicas: int = Field(
        1,
        ge=0,
        le=10000,
        description=(
            "Never fewer replicas than this. 0: none while there is no work; needs KEDA, and a metric of type prometheus or keda that tells of "
            "work while no replica runs."
        ),
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
        if self.min_replicas == 0 and not any(metric.type in WAKING_TYPES for metric in self.metrics):
            raise ValueError(ZERO_NEEDS_WAKING)
        if self.needs_keda and any(metric.type in NAMED_TYPES for metric in self.metrics):
            raise ValueError(NO_MIX)
        return self
