"""spec.model of a ScoringModel: where the artifact is, and how it is known to be the right one."""

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from scoring_operator.api.base import ApiModel, TextRule, cel, validated

HOST_INVALID = "uri must name a host, and after a : a port number, as in https://models.example.com:8443/faq.tar"
URI_RULES = (
    TextRule(
        "^(file:///[^?#]+|pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[^?#]+|https://[^/]+/.+)$",
        "uri must be file:///path (inside the image), pvc://claim/path or https://host/path",
    ),
    TextRule("^https://[^/]*@", "uri must not hold a user or a password", is_forbidden=True),
    TextRule("(^|/)[.][.](/|$)", "uri must not hold .. as a path segment", is_forbidden=True),
    TextRule("^(file:|pvc:|https://([^]/:?#@[]+|[^]A-Za-z0-9:/?#@][0-9A-Fa-f:.]+])(:[0-9]{1,5})?/)", HOST_INVALID),
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
Format = Literal["sklearn", "torch", "tensorflow", "keras", "onnx", "mlflow", "python"]


def has_valid_address(uri: str) -> bool:
    """Tell whether host and port can be read from a URI; one without any, such as file:///m, has nothing wrong."""
    try:
        return urlsplit(uri).port != 0
    except ValueError:
        return False


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
        if not has_valid_address(uri):
            raise ValueError(HOST_INVALID)
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
