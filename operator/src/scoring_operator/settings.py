"""Settings of the operator, from environment variables that start with SCORING_OPERATOR_."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from scoring_operator.api import Gateway, Issuer
from scoring_operator.redaction import compile_pattern

LONGER = {
    "lease_renew_deadline_seconds": "lease_duration_seconds",
    "lease_renew_seconds": "lease_renew_deadline_seconds",
    "lease_retry_seconds": "lease_renew_deadline_seconds",
}
"""The time that each time of the Lease must stay below."""


class Settings(BaseSettings):
    """How the operator runs; the Helm chart sets these."""

    model_config = SettingsConfigDict(env_prefix="SCORING_OPERATOR_", frozen=True)

    runtime_images: Mapping[str, str] = Field(
        description="JSON: image of the serving runtime for each model format. The one for sklearn also serves models without a format.",
    )
    image_pull_secrets: tuple[str, ...] = Field(
        (),
        max_length=16,
        description="JSON: names of Secrets with logins for image registries, looked for in each model's namespace, beside the model's and its class's.",
    )
    namespaces: tuple[str, ...] = Field(
        (), description="JSON: namespaces whose ScoringModels are served. Left out: all of the cluster."
    )
    capacity_advice: bool = Field(
        True,
        description="Tell in the status of each HardwareClass how many more replicas fit now. Watches all nodes and pods. Not with namespaces.",
    )
    class_rollout_share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="When a hardware class changes, at most this share of its models roll out at the same time, and at least one.",
    )
    workers: int = Field(8, ge=1, description="ScoringModels reconciled at the same time.")
    resync_seconds: float = Field(
        600.0,
        gt=0,
        description="Every so often all objects are listed and all models reconciled, whatever the watches said.",
    )
    network_policies: Literal["requested", "always"] = Field(
        "requested",
        description=(
            "requested: a NetworkPolicy for models with spec.network. always: for all models; those without spec.network reach nothing but "
            "DNS and, at any address, the port of the host from which their artifact is fetched, and that of their tokens' issuer."
        ),
    )
    service_accounts: Literal["requested", "always"] = Field(
        "requested",
        description=(
            "requested: a ServiceAccount for models with spec.runtime.serviceAccount; the pods of the others run as their namespace's "
            "default one. always: for all models that name no existing one."
        ),
    )
    service_monitors: bool = Field(
        True, description="Make a ServiceMonitor for each model where the cluster has that kind."
    )
    service_monitor_labels: Mapping[str, str] = Field(
        {}, description="JSON: labels of the ServiceMonitors, by which a Prometheus chooses what it scrapes."
    )
    ingress_class_name: str = Field(
        "", description="IngressClass of models with a host that name none. Left out: the cluster's default one."
    )
    ingress_annotations: Mapping[str, str] = Field(
        {}, description="JSON: annotations of all Ingresses, such as those by which HTTP is redirected to HTTPS."
    )
    gateway: Gateway | None = Field(
        None,
        description="JSON: the Gateway of models with a host that name neither one nor an IngressClass. Left out: they get an Ingress.",
    )
    issuer: Issuer | None = Field(
        None, description="JSON: the issuer of certificates for Ingresses of models that say nothing of TLS."
    )
    prometheus_address: str = Field(
        "", description="URL of the Prometheus server from which KEDA reads the runtime's metrics for autoscaling."
    )
    health_port: int = Field(
        8080, ge=1, le=65535, description="Port of /healthz, which answers 200 while election and work loop move."
    )
    metrics_port: int = Field(
        8081, ge=0, le=65535, description="Port of /metrics, in Prometheus' text format; 0 for none."
    )
    stuck_seconds: float = Field(
        300.0, gt=0, description="A reconcile that takes longer than this makes /healthz fail."
    )
    leader_election: bool = Field(
        True,
        description="Work only while this process holds the Lease; false only where no second operator can run, such as from a shell.",
    )
    namespace: str = Field("", description="Namespace of the Lease; required with leader_election.")
    lease_name: str = Field("scoring-operator", min_length=1, description="Name of the Lease.")
    lease_duration_seconds: int = Field(
        8, ge=1, description="Another operator takes over when it has seen the Lease unchanged for this long."
    )
    lease_renew_deadline_seconds: float = Field(
        5.0,
        gt=0,
        description="The leader stops when no renewal has succeeded for this long; less than the Lease's duration.",
    )
    lease_renew_seconds: float = Field(
        2.0, gt=0, description="The leader renews the Lease this often; less than the deadline."
    )
    lease_retry_seconds: float = Field(
        1.0,
        gt=0,
        description="A follower looks at the Lease, and a leader repeats a renewal that has failed, this often.",
    )
    log_format: Literal["json", "plain"] = Field("json", description="json: one object per line; plain: for people.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe level that is logged."
    )
    redact_patterns: tuple[str, ...] = Field(
        (),
        max_length=32,
        description=(
            "JSON: regular expressions (Python's) of what is redacted in logs, events, status and termination messages, beside keys, tokens, "
            "passwords and URIs with credentials. The models' pods get them too."
        ),
    )

    @field_validator("redact_patterns")
    @classmethod
    def _check_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for number, pattern in enumerate(patterns, start=1):
            try:
                compile_pattern(pattern)
            except ValueError as error:
                raise ValueError(f"pattern {number} {error}") from error
        return patterns

    @field_validator("gateway", "issuer", mode="before")
    @classmethod
    def _drop_empty(cls, value: object) -> object:
        """Return nothing for an empty object, as the chart writes it when none is named."""
        return value or None

    @field_validator("lease_renew_deadline_seconds", "lease_renew_seconds", "lease_retry_seconds")
    @classmethod
    def _check_order(cls, value: float, info: ValidationInfo) -> float:
        """Refuse times with which a leader could write while another leads, or could not renew in time."""
        longer = LONGER[info.field_name or ""]
        if value >= info.data.get(longer, value + 1):
            raise ValueError(f"must be less than {longer}")
        return value
