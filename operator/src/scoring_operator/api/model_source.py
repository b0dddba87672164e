"""spec.model of a ScoringModel: where the artifact is, and how it is known to be the right one."""

import re
from typing import Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from scoring_operator.api.artifact_trust import Credentials, Signature
from scoring_operator.api.base import ApiModel, Quantity, TextRule, cel, is_positive, require_positive, validated
from scoring_operator.api.model_uri import (
    ENDPOINT_INVALID,
    ENDPOINT_PATTERN,
    ENDPOINT_RULE,
    HOST_INVALID,
    REMOTE_PATTERN,
    STORE_PATTERN,
    URI_RULES,
    find_scheme,
    has_valid_address,
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
CREDENTIALS_UNUSED = "credentials are for artifacts that are fetched: https, s3, gs, abfs, hf and oci"
ANONYMOUS_UNUSED = (
    "credentials.anonymous is for s3, gs and abfs; the other schemes ask without credentials when there are none"
)
ENDPOINT_UNUSED = "endpoint is for s3, gs, abfs and hf; an https or oci URI names its host itself"
ENDPOINT_UNSAFE = "an endpoint without TLS is for s3 only, and needs a digest or a signature: whoever is on the way can change the artifact"
SIGNATURE_UNUSED = (
    "signature is not for file:// artifacts: they are part of the image, whose own signature vouches for them"
)
SIGNATURE_ELSEWHERE = "signature.uri must have the scheme and the host, bucket or claim of uri"
SIZE_LIMIT_INVALID = "sizeLimit must be more than 0"
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
            cel(f"!has(self.credentials) || self.uri.matches('{REMOTE_PATTERN}')", CREDENTIALS_UNUSED),
            cel(
                "!has(self.credentials) || !has(self.credentials.anonymous) || !self.credentials.anonymous || "
                f"self.uri.matches('{STORE_PATTERN}')",
                ANONYMOUS_UNUSED,
            ),
            cel(f"!has(self.endpoint) || self.uri.matches('{ENDPOINT_PATTERN}')", ENDPOINT_UNUSED),
            cel(
                "!has(self.endpoint) || self.endpoint.startsWith('https://') || "
                "(self.uri.startsWith('s3://') && (has(self.digest) || has(self.signature)))",
                ENDPOINT_UNSAFE,
            ),
            cel("!has(self.signature) || !self.uri.startsWith('file://')", SIGNATURE_UNUSED),
            cel(
                "!has(self.signature) || !has(self.signature.uri) || "
                "self.uri.split('/', 4)[0] + self.uri.split('/', 4)[2] == "
                "self.signature.uri.split('/', 4)[0] + self.signature.uri.split('/', 4)[2]",
                SIGNATURE_ELSEWHERE,
            ),
        )
    )

    uri: str = Field(
        max_length=2048,
        description=(
            "The artifact: file:///path (a path inside the runtime's image), pvc://claim/path (in a PersistentVolumeClaim of the same namespace), "
            "https://host/path, s3://bucket/path, gs://bucket/path, abfs://container@account.dfs.core.windows.net/path, "
            "hf://organisation/name[@revision][/path] or oci://registry/repository:tag. It is an archive (.tar, .tar.gz, .tgz and .zip are unpacked), "
            "a model file that needs no manifest (.skops, .joblib, .pkl, .pickle, .onnx, .ort, .keras) or, but for https, a folder."
        ),
        json_schema_extra=validated(*(rule.render() for rule in URI_RULES)),
    )
    digest: str | None = Field(
        None,
        max_length=71,
        description=(
            "sha256:<64 hexadecimal digits> of the artifact; checked before anything is unpacked or loaded. Of a file, what sha256sum prints; of a "
            "folder, the sum of the lines that sha256sum prints for its files, sorted by path (`scoring-runtime digest <folder>` prints it). "
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
            "Left out, the artifact's own manifest decides, and the image is that for a file's ending (.onnx, .ort, .keras), else for sklearn."
        ),
    )

    credentials: Credentials | None = Field(
        None,
        description="What the artifact is fetched with. Left out: the pod's own identity in the cloud, or none.",
    )
    endpoint: str | None = Field(
        None,
        max_length=2048,
        description=(
            "Address of the service, for s3, gs, abfs and hf, where it is not the cloud's own, such as https://minio.example.com:9000 of an "
            "S3-compatible server. It must be https; http is taken for s3 only, and only with a digest or a signature."
        ),
        json_schema_extra=validated(ENDPOINT_RULE.render()),
    )
    signature: Signature | None = Field(
        None, description="A signature that the artifact must have; checked before anything is unpacked or loaded."
    )
    size_limit: Quantity | None = Field(
        None,
        description=(
            "What the artifact may take on the node's disk, fetched and unpacked, such as 20Gi; more is refused. Also the size limit of the replica's "
            "work volume. Left out: 100Gi, and no limit of the volume."
        ),
        json_schema_extra=validated(cel(require_positive("self"), SIZE_LIMIT_INVALID)),
    )

    @field_validator("uri")
    @classmethod
    def check_uri(cls, uri: str) -> str:
        """Return the URI if all rules hold for it."""
        for rule in URI_RULES:
            rule.check(uri)
        if not has_valid_address(uri):
            raise ValueError(HOST_INVALID)
        return uri

    @field_validator("digest")
    @classmethod
    def check_digest(cls, digest: str | None) -> str | None:
        """Return the digest if it is one, or none at all."""
        return None if digest is None else DIGEST_RULE.check(digest)

    @field_validator("endpoint")
    @classmethod
    def check_endpoint(cls, endpoint: str | None) -> str | None:
        """Return the endpoint if it is an address, or none at all."""
        if endpoint is None:
            return None
        if not has_valid_address(ENDPOINT_RULE.check(endpoint)):
            raise ValueError(ENDPOINT_INVALID)
        return endpoint

    @field_validator("size_limit")
    @classmethod
    def check_size_limit(cls, limit: int | str | None) -> int | str | None:
        """Return the limit, unless it lets nothing through."""
        if limit is not None and not is_positive(limit):
            raise ValueError(SIZE_LIMIT_INVALID)
        return limit

    @model_validator(mode="after")
    def check_reach(self) -> Self:
        """Return the source, unless a field stands there that the URI's scheme has no use for."""
        if self.credentials is not None and not re.search(REMOTE_PATTERN, self.uri):
            raise ValueError(CREDENTIALS_UNUSED)
        if self.credentials is not None and self.credentials.anonymous and not re.search(STORE_PATTERN, self.uri):
            raise ValueError(ANONYMOUS_UNUSED)
        if self.endpoint is not None and not re.search(ENDPOINT_PATTERN, self.uri):
            raise ValueError(ENDPOINT_UNUSED)
        is_checked = find_scheme(self.uri) == "s3" and (self.digest or self.signature)
        if self.endpoint is not None and not self.endpoint.startswith("https://") and not is_checked:
            raise ValueError(ENDPOINT_UNSAFE)
        return self

    @model_validator(mode="after")
    def check_signature(self) -> Self:
        """Return the source, unless its signature is of no use or lies where its credentials do not reach."""
        if self.signature is None:
            return self
        if find_scheme(self.uri) == "file":
            raise ValueError(SIGNATURE_UNUSED)
        place = self.signature.uri
        if place is not None and place.split("/", 3)[:3] != self.uri.split("/", 3)[:3]:
            raise ValueError(SIGNATURE_ELSEWHERE)
        return self

    @model_validator(mode="after")
    def check_digest_is_given(self) -> Self:
        """Return the source, unless its file can run code and has no digest."""
        if self.digest is None and re.search(CODE_FILES, self.uri):
            raise ValueError(DIGEST_REQUIRED)
        if self.digest is None and self.format in CODE_FORMATS:
            raise ValueError(DIGEST_REQUIRED_BY_FORMAT)
        return self
