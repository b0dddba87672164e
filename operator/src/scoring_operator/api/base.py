"""What both kinds are made of: rules, quantities, resources, and how an object is parsed."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel

from scoring_operator.errors import ModelProblem

GROUP = "scoring.dev"
VERSION = "v1beta1"
API_VERSION = f"{GROUP}/{VERSION}"

Manifest: TypeAlias = dict[str, Any]
"""A Kubernetes object as the API server speaks it: plain dictionaries and lists."""


def cel(rule: str, message: str) -> dict[str, str]:
    """Return one validation rule for `x-kubernetes-validations`: a CEL expression that must hold, and what to say when it does not."""
    return {"rule": rule, "message": message}


@dataclass(frozen=True)
class TextRule:
    """A rule about a text, told to the API server as CEL and checked again here, since what is read is not trusted."""

    pattern: str
    message: str
    is_forbidden: bool = False

    def render(self, text: str = "self") -> dict[str, str]:
        """Return the rule for `x-kubernetes-validations`; `text` is where CEL finds the text."""
        return cel(f"{'!' if self.is_forbidden else ''}{text}.matches('{self.pattern}')", self.message)

    def check(self, text: str) -> str:
        """Return the text; raises ValueError when the rule does not hold for it."""
        if bool(re.search(self.pattern, text)) == self.is_forbidden:
            raise ValueError(self.message)
        return text


def validated(*rules: dict[str, str]) -> dict[str, Any]:
    """Return the schema extension that carries `rules`."""
    return {"x-kubernetes-validations": list(rules)}


class ApiModel(BaseModel):
    """Base of all API types: camelCase on the wire, immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


QUANTITY_PATTERN = r"^([0-9]+|[0-9]*\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$"


def check_quantity(value: int | str) -> int | str:
    """Return a quantity as it is; raises ValueError when Kubernetes would not understand it."""
    if not re.match(QUANTITY_PATTERN, str(value)):
        raise ValueError("must be a quantity such as 2, 500m or 4Gi")
    return value


Quantity = Annotated[
    int | str,
    AfterValidator(check_quantity),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "minimum": 0,
            "maxLength": 32,
            "pattern": QUANTITY_PATTERN,
        }
    ),
]
"""A Kubernetes quantity: 2, 500m, 4Gi."""


def is_positive(quantity: int | str) -> bool:
    """Tell whether a quantity is more than 0."""
    return re.match("[0-9.]*[1-9]", str(quantity)) is not None


def require_positive(field: str) -> str:
    """Return the CEL expression that tells the same of a field."""
    return f"quantity(string({field})).isGreaterThan(quantity('0'))"


Quantities = Annotated[Mapping[str, Quantity], Field(max_length=16)]

DnsName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Label = Annotated[str, Field(max_length=63)]
Image = Annotated[str, Field(min_length=1, max_length=512)]
CIDR_PATTERN = "[0-9A-Fa-f:.]+/(0|[1-9][0-9]{0,2})"
CIDR_INVALID = "cidr must be an IP network such as 10.0.0.0/8"


def check_cidr(cidr: str) -> str:
    """Return an IP network as it is; raises ValueError when it is none, such as an address with the length of a prefix."""
    if not re.fullmatch(CIDR_PATTERN, cidr):
        raise ValueError(CIDR_INVALID)
    try:
        ipaddress.ip_network(cidr)
    except ValueError as error:
        raise ValueError(CIDR_INVALID) from error
    return cidr


Cidr = Annotated[
    str,
    AfterValidator(check_cidr),
    Field(
        max_length=49,
        json_schema_extra=validated(cel("isCIDR(self) && cidr(self) == cidr(self).masked()", CIDR_INVALID)),
    ),
]
"""An IP network, without bits of a host behind its prefix: 10.0.0.0/8."""


class Resources(ApiModel):
    """Compute resources of one replica."""

    model_config = ConfigDict(
        json_schema_extra=validated(
            cel(
                "!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits) || "
                "quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= 0)",
                "requests must not be above limits",
            )
        )
    )

    requests: Quantities | None = Field(
        None, description="What one replica is given for certain, such as cpu: 1 and memory: 2Gi."
    )
    limits: Quantities | None = Field(
        None,
        description="What one replica must not exceed. The CPU limit, rounded up, is the number of threads of the numerical libraries.",
    )


class Metadata(BaseModel):
    """The part of an object's metadata that the operator reads."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    uid: str
    namespace: str | None = None
    generation: int = 0


class ApiObject(BaseModel):
    """Base of the two kinds: metadata and spec; apiVersion, kind and status are not read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    metadata: Metadata

    @classmethod
    def parse(cls, body: Manifest) -> Self:
        """Return the object; what is read is not trusted, although the API server has checked it already.

        Raises ModelProblem InvalidSpec, naming each field at fault.
        """
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            raise ModelProblem(
                "InvalidSpec", f"{cls.__name__} {body['metadata']['name']}: {describe_fields(error)}."
            ) from error


FIELD_CHARACTERS = 100


def describe_fields(error: ValidationError) -> str:
    """Return one line that names each field at fault and what is wrong with it; values are left out, as they may be secret."""
    return "; ".join(
        f"{'.'.join(shorten(str(part), FIELD_CHARACTERS) for part in item['loc'])}: {item['msg']}"
        for item in error.errors(include_url=False)
    )


def shorten(text: str, characters: int) -> str:
    """Return the beginning of a text that is longer than so many characters."""
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
