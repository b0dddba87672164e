"""ScoringModel: the model, its hardware, its replicas and its endpoint; and its status."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from scoring_operator.api.autoscaling import Autoscaling
from scoring_operator.api.base import (
    ApiModel,
    ApiObject,
    DnsName,
    Image,
    Metadata,
    Resources,
    TextRule,
    cel,
    validated,
)
from scoring_operator.api.endpoint import Endpoint
from scoring_operator.api.image import PullPolicy, PullSecrets
from scoring_operator.api.model_source import ModelSource
from scoring_operator.api.network import Network

NAME_RULE = TextRule(
    "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$",
    "metadata.name must be a valid Service name: at most 63 of a-z, 0-9 and -, starting with a letter and not ending with -",
)
ACCOUNT_TWICE = "serviceAccount and serviceAccountName exclude each other"
CLASS_ONLY = "resources with a / in their name, such as GPUs, come from the hardware class only"
VARIABLE_RULE = TextRule(
    "^SCORING_(MODEL_.*|BATCH_.*|PORT|GRPC_PORT|PATH_PREFIX|WORK_DIR|VOLUME_DIR|CREDENTIALS_DIR|API_KEYS_DIR|JWT_.*|RATE_.*|"
    "BURST_.*|TRUSTED_PROXIES|MAX_(REQUESTS|CONNECTIONS)_PER_CLIENT|(HEADER|BODY)_TIMEOUT_SECONDS)$",
    "this variable follows from other fields (spec.model, spec.batching, spec.endpoint) and cannot be set here",
    is_forbidden=True,
)


class Batching(ApiModel):
    """How requests that come at the same time are scored together. A model that is idle never waits for more of them."""

    max_size: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Items scored at once at most; 1 switches batching off. Left out: what helps the model's format and hardware.",
    )
    max_delay_milliseconds: int = Field(
        0,
        ge=0,
        le=10000,
        description=(
            "How long after its arrival a request that found the model busy may wait for more to fill the batch. 0: take what has gathered."
        ),
    )


class EnvironmentVariable(ApiModel):
    """One environment variable of the runtime's container."""

    name: str = Field(
        max_length=253,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Name of the variable.",
        json_schema_extra=validated(VARIABLE_RULE.render()),
    )
    value: str = Field("", max_length=32768, description="Value of the variable, as written. Not for secrets.")

    @field_validator("name")
    @classmethod
    def check_name(cls, name: str) -> str:
        """Return the name, unless the operator sets that variable itself."""
        return VARIABLE_RULE.check(name)


class ServiceAccount(ApiModel):
    """A ServiceAccount of the model's own."""

    annotations: Annotated[Mapping[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)] | None = Field(
        None, description="Annotations of the ServiceAccount, such as those by which a cloud gives it an identity."
    )


class Runtime(ApiModel):
    """Overrides of the serving runtime; what is left out comes from the hardware class and the operator."""

    model_config = ConfigDict(
        json_schema_extra=validated(
            cel("!has(self.serviceAccount) || !has(self.serviceAccountName)", ACCOUNT_TWICE),
            *(
                cel(
                    f"!has(self.resources) || !has(self.resources.{side}) || self.resources.{side}.all(name, !name.contains('/'))",
                    CLASS_ONLY,
                )
                for side in ("requests", "limits")
            ),
        )
    )

    image: Image | None = Field(
        None,
        description="Image of the serving runtime, instead of the hardware class's or the operator's own for the format.",
    )
    image_pull_policy: PullPolicy | None = Field(
        None,
        description="When a node that has the image asks its registry again. Left out: Always for the tag latest or none, else IfNotPresent.",
    )
    image_pull_secrets: PullSecrets = Field(
        (),
        description=(
            "Secrets of the model's namespace with logins for image registries, beside the hardware class's and the operator's. "
            "With any of them the service account's own are not used."
        ),
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    env: tuple[EnvironmentVariable, ...] = Field(
        (),
        max_length=64,
        description=(
            "More environment variables, such as SCORING_MAX_QUEUE or SCORING_LOG_LEVEL. The container that fetches the artifact gets them, too."
        ),
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    service_account: ServiceAccount | None = Field(
        None,
        description="A ServiceAccount of the model's own for the pods, instead of the namespace's default one. No account's token is mounted.",
    )
    service_account_name: DnsName | None = Field(
        None, description="An existing ServiceAccount for the pods, instead of the namespace's default one."
    )
    resources: Resources | None = Field(
        None,
        description="Requests and limits that replace the hardware class's, name by name. Accelerators come from the class only.",
    )

    @field_validator("resources")
    @classmethod
    def check_resources(cls, resources: Resources | None) -> Resources | None:
        """Return the resources, unless they name one that only a hardware class may give."""
        sides = (resources.requests, resources.limits) if resources else ()
        if any("/" in name for side in sides for name in side or ()):
            raise ValueError(CLASS_ONLY)
        return resources

    @model_validator(mode="after")
    def check_account(self) -> Self:
        """Return the overrides, unless they ask for two ServiceAccounts."""
        if self.service_account and self.service_account_name:
            raise ValueError(ACCOUNT_TWICE)
        return self


class ScoringModelSpec(ApiModel):
    """What is wished: the model, the hardware, the number of replicas and the endpoint."""

    model: ModelSource = Field(description="The model artifact.")
    hardware_class: DnsName | None = Field(
        None,
        description="Name of the HardwareClass whose resources each replica gets. Left out: the class marked as default.",
    )
    replicas: int = Field(
        1,
        ge=0,
        le=10000,
        description="Number of replicas; `kubectl scale` sets it. Without effect when autoscaling is set.",
    )
    autoscaling: Autoscaling | None = Field(
        None, description="Scale by measured load instead of by a fixed number of replicas."
    )
    batching: Batching = Field(Batching(), description="How requests that come at the same time are scored together.")
    endpoint: Endpoint = Field(Endpoint(), description="How the endpoint is reached.")
    network: Network | None = Field(
        None,
        description="Who may reach the replicas, and whom they may reach. Left out: the operator's setting decides.",
    )
    runtime: Runtime = Field(Runtime(), description="Overrides of the serving runtime.")


class Condition(ApiModel):
    """One aspect of the state, as kstatus, Argo CD, Flux and `kubectl wait` read it."""

    type: str = Field(max_length=316, description="Ready, Reconciling, Stalled, ScalingInactive or RouteReady.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    observed_generation: int = Field(ge=0, description="The generation of the ScoringModel that this speaks of.")
    last_transition_time: Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})] = Field(
        description="When status last changed."
    )
    reason: str = Field(min_length=1, max_length=1024, description="One word for programs.")
    message: str = Field(max_length=32768, description="A sentence for people: what is so, and what to do.")


UNSEEN_GENERATION = -1
"""Observed generation of a model that the operator has not seen yet, by the CRD's default: to kstatus an object with no status at all is
well, so Flux and others would take a new model for ready before anybody has looked at it."""


class ScoringModelStatus(ApiModel):
    """What was observed last. Written by the operator only."""

    observed_generation: int | None = Field(
        None,
        ge=UNSEEN_GENERATION,
        description="The newest generation that the operator has seen; -1 before it has seen any.",
    )
    applied_generation: int | None = Field(
        None,
        description=(
            "The newest generation whose objects (Deployment, Service and the others) the API server has taken; below observedGeneration while "
            "it has not."
        ),
    )
    conditions: tuple[Condition, ...] | None = Field(
        None,
        description="Ready is the summary; Reconciling and Stalled are present only while true; RouteReady with a host.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    url: str | None = Field(None, description="Where the endpoint answers; POST to /score.")
    replicas: int | None = Field(None, description="Replicas that exist.")
    ready_replicas: int | None = Field(None, description="Replicas that answer.")
    selector: str | None = Field(None, description="Label selector of the replicas' pods, for the scale subresource.")
    hardware_class: str | None = Field(None, description="The HardwareClass in use.")


class ScoringModel(ApiObject):
    """A model artifact served at a scoring endpoint on hardware of a class."""

    spec: ScoringModelSpec

    @field_validator("metadata")
    @classmethod
    def check_name(cls, metadata: Metadata) -> Metadata:
        """Return the metadata, unless no Service could have the name."""
        NAME_RULE.check(metadata.name)
        return metadata

    @property
    def name(self) -> str:
        """Name of the model and of each object that belongs to it."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Namespace of the model and of each object that belongs to it."""
        return self.metadata.namespace or "default"
