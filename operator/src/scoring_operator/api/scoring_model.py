"""ScoringModel: the model, its hardware, its replicas and its endpoint; and its status."""

import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from scoring_operator.api.base import ApiModel, ApiObject, DnsName, Image, Resources, TextRule, cel, validated

URI_RULES = (
    TextRule(
        "^(file:///[^?#]+|pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[^?#]+|https://[^/]+/.+)$",
        "uri must be file:///path (inside the image), pvc://claim/path or https://host/path",
    ),
    TextRule("^https://[^/]*@", "uri must not hold a user or a password", is_forbidden=True),
    TextRule("(^|/)[.][.](/|$)", "uri must not hold .. as a path segment", is_forbidden=True),
)
DIGEST_RULE = TextRule(
    "^sha256:[0-9a-f]{64}$",
    "digest must be sha256: followed by 64 hexadecimal digits in lower case, as sha256sum prints them",
)
CODE_FILES = "[.](pkl|pickle|joblib|pt|pth|pt2|ts|keras)([?#].*)?$"
"""URIs of files that can run code when they are loaded."""

CODE_FORMATS = ("tensorflow", "keras", "mlflow")
"""Formats all of whose models can run code when they are loaded."""

DIGEST_REQUIRED = (
    "digest is required for this file: a pickle, joblib, .pt or .keras file can run code when it is loaded; "
    "set digest to sha256:<what sha256sum prints>"
)
DIGEST_REQUIRED_BY_FORMAT = (
    "digest is required for the formats tensorflow, keras and mlflow: their models can run code when they are loaded; "
    "set digest to sha256:<what sha256sum prints>"
)
CLASS_ONLY = "resources with a / in their name, such as GPUs, come from the hardware class only"
MIN_ABOVE_MAX = "minReplicas must not be above maxReplicas"
VARIABLE_RULE = TextRule(
    "^SCORING_(MODEL_.*|BATCH_.*|PORT|GRPC_PORT|WORK_DIR|VOLUME_DIR)$",
    "this variable follows from other fields (spec.model, spec.batching, spec.endpoint) and cannot be set here",
    is_forbidden=True,
)


Format = Literal["sklearn", "torch", "tensorflow", "keras", "onnx", "mlflow", "python"]


class ModelSource(ApiModel):
    """Where the model artifact is, and how it is known to be the right one."""

    model_config = ConfigDict(
        json_schema_extra=validated(
            cel(f"has(self.digest) || !self.uri.matches('{CODE_FILES}')", DIGEST_REQUIRED),
            cel(
                f"has(self.digest) || !has(self.format) || !(self.format in {list(CODE_FORMATS)})",
                DIGEST_REQUIRED_BY_FORMAT,
            ),
        )
    )

    uri: str = Field(
        max_length=2048,
        description=(
            "The artifact: file:///path (a path inside the runtime's image), pvc://claim/path (in a PersistentVolumeClaim of the same namespace) or "
            "https://host/path. It is one file or one folder; .tar, .tar.gz, .tgz and .zip are unpacked."
        ),
        json_schema_extra=validated(*(rule.render() for rule in URI_RULES)),
    )
    digest: str | None = Field(
        None,
        max_length=71,
        description=(
            "sha256:<64 hexadecimal digits> of the artifact; checked before anything is unpacked or loaded. Of a file, what sha256sum prints. "
            "Required for files that can run code when they are loaded (.pkl, .pickle, .joblib, .pt, .pth, .pt2, .ts, .keras) and for the formats "
            "tensorflow, keras and mlflow."
        ),
        json_schema_extra=validated(DIGEST_RULE.render()),
    )
    format: Format | None = Field(
        None,
        description=(
            "What the model is saved as: sklearn, torch, tensorflow, keras, onnx, mlflow, or python (a class of the image's). It chooses the "
            "runtime's image. "
            "Left out, the sklearn image is used and the artifact's own manifest decides."
        ),
    )

    @field_validator("uri")
    @classmethod
    def check_uri(cls, uri: str) -> str:
        """Return the URI if all rules hold for it."""
        for rule in URI_RULES:
            rule.check(uri)
        return uri

    @field_validator("digest")
    @classmethod
    def check_digest(cls, digest: str | None) -> str | None:
        """Return the digest if it is one, or none at all."""
        return None if digest is None else DIGEST_RULE.check(digest)

    @model_validator(mode="after")
    def check_digest_is_given(self) -> Self:
        """Return the source, unless its file can run code and has no digest."""
        if self.digest is None and re.search(CODE_FILES, self.uri):
            raise ValueError(DIGEST_REQUIRED)
        if self.digest is None and self.format in CODE_FORMATS:
            raise ValueError(DIGEST_REQUIRED_BY_FORMAT)
        return self


class CpuMetric(ApiModel):
    """One measure that decides the number of replicas."""

    type: Literal["cpu"] = Field(
        description="cpu: the CPU used, in percent of the CPU requested, averaged over the replicas."
    )
    target: int = Field(70, ge=1, le=1000, description="Replicas are added above this percentage and removed below it.")


class Autoscaling(ApiModel):
    """Let a HorizontalPodAutoscaler choose the number of replicas."""

    model_config = ConfigDict(json_schema_extra=validated(cel("self.minReplicas <= self.maxReplicas", MIN_ABOVE_MAX)))

    min_replicas: int = Field(1, ge=1, le=10000, description="Never fewer replicas than this.")
    max_replicas: int = Field(ge=1, le=10000, description="Never more replicas than this.")
    metrics: tuple[CpuMetric, ...] = Field(
        (CpuMetric(type="cpu", target=70),),
        min_length=1,
        max_length=1,
        description="What decides. By default the CPU, at 70 percent of the CPU requested.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )

    @model_validator(mode="after")
    def check_bounds(self) -> Self:
        """Return the autoscaling, unless its bounds contradict each other."""
        if self.min_replicas > self.max_replicas:
            raise ValueError(MIN_ABOVE_MAX)
        return self


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


class Endpoint(ApiModel):
    """How the scoring endpoint is reached."""

    type: Literal["ClusterIP", "LoadBalancer"] = Field(
        "ClusterIP",
        description="ClusterIP: inside the cluster only. LoadBalancer: the cluster's load balancer gives an address, shown in status.url. Port 80.",
    )
    grpc: bool = Field(
        False, description="Also answer the Open Inference Protocol over gRPC, at port 8081 of the same address."
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


class Runtime(ApiModel):
    """Overrides of the serving runtime; what is left out comes from the hardware class and the operator."""

    model_config = ConfigDict(
        json_schema_extra=validated(
            *(
                cel(
                    f"!has(self.resources) || !has(self.resources.{side}) || self.resources.{side}.all(name, !name.contains('/'))",
                    CLASS_ONLY,
                )
                for side in ("requests", "limits")
            )
        )
    )

    image: Image | None = Field(
        None,
        description="Image of the serving runtime, instead of the hardware class's or the operator's own for the format.",
    )
    env: tuple[EnvironmentVariable, ...] = Field(
        (),
        max_length=64,
        description="More environment variables, such as SCORING_MAX_QUEUE or SCORING_LOG_LEVEL.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
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
    runtime: Runtime = Field(Runtime(), description="Overrides of the serving runtime.")


class Condition(ApiModel):
    """One aspect of the state, as kstatus, Argo CD, Flux and `kubectl wait` read it."""

    type: str = Field(max_length=316, description="Ready, Reconciling or Stalled.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    observed_generation: int = Field(ge=0, description="The generation of the ScoringModel that this speaks of.")
    last_transition_time: Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})] = Field(
        description="When status last changed."
    )
    reason: str = Field(min_length=1, max_length=1024, description="One word for programs.")
    message: str = Field(max_length=32768, description="A sentence for people: what is so, and what to do.")


class ScoringModelStatus(ApiModel):
    """What was observed last. Written by the operator only."""

    observed_generation: int | None = Field(None, ge=0, description="The newest generation that the operator has seen.")
    conditions: tuple[Condition, ...] | None = Field(
        None,
        description="Ready is the summary; Reconciling and Stalled are present only while true.",
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

    @property
    def name(self) -> str:
        """Name of the model and of each object that belongs to it."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Namespace of the model and of each object that belongs to it."""
        return self.metadata.namespace or "default"
