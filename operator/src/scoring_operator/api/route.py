"""The part of spec.endpoint that leads from outside the cluster to the model: host, path, and the Ingress or Gateway on the way."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from scoring_operator.api.base import ApiModel, DnsName, TextRule, cel, validated

CERT_MANAGER = "cert-manager.io"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""What named the class before there was a field for it. The API server takes no Ingress that names two."""

ISSUER_KINDS = ("Issuer", "ClusterIssuer")
ISSUER_KIND_UNKNOWN = (
    "kind must be Issuer or ClusterIssuer in the group cert-manager.io; for an issuer of another project name its group"
)
REDIRECT_ALONE = "redirectSectionName needs sectionName: name the HTTPS listener that serves, too"
REDIRECT_TO_ITSELF = "redirectSectionName must name another listener than sectionName: the HTTP one"
HOST_MISSING = "path, tls, ingressClassName, ingressAnnotations and gateway need a host: set spec.endpoint.host"
ROUTE_TWICE = (
    "gateway excludes ingressClassName and ingressAnnotations: an endpoint has an HTTPRoute or an Ingress, never both"
)
TLS_OF_LISTENER = (
    "tls is for an Ingress; behind a Gateway TLS is its listener's: leave tls out, and name the HTTPS listener in "
    "gateway.sectionName"
)
HOST_RULE = TextRule(
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?[.])*[a-z]([-a-z0-9]*[a-z0-9])?$",
    "host must be a DNS name in lower case, such as faq.example.com: no wildcard, no port, no IP address",
)
PATH_RULE = TextRule(
    r"^/([A-Za-z0-9_~-][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)?$",
    "path must be / or a prefix such as /faq or /team/faq: segments of letters, digits and -._~, not starting with a dot, and no / at the end",
)
RESERVED_RULE = TextRule(
    r"^/(score|v1|v2|version|docs|openapi[.]json|metrics|healthz|readyz)(/.*)?$",
    "path must not begin with a path of the runtime itself, such as /score, /v1, /v2, /docs or /metrics: choose another first segment",
    is_forbidden=True,
)


class Issuer(ApiModel):
    """A certificate issuer of cert-manager's, or of a project that extends it."""

    model_config = ConfigDict(
        json_schema_extra=validated(
            cel(f"self.group != '{CERT_MANAGER}' || self.kind in ['Issuer', 'ClusterIssuer']", ISSUER_KIND_UNKNOWN)
        )
    )

    name: DnsName = Field(description="Name of the issuer.")
    kind: str = Field(
        "Issuer",
        max_length=63,
        pattern=r"^[A-Z][A-Za-z0-9]*$",
        description="Issuer: of the model's namespace. ClusterIssuer: of the cluster. Or a kind of the group.",
    )
    group: DnsName = Field(CERT_MANAGER, description="API group of the issuer's kind.")

    @model_validator(mode="after")
    def check_kind(self) -> Self:
        """Return the issuer, unless cert-manager has no such kind."""
        if self.group == CERT_MANAGER and self.kind not in ISSUER_KINDS:
            raise ValueError(ISSUER_KIND_UNKNOWN)
        return self


class Tls(ApiModel):
    """HTTPS of an Ingress. Empty: with the certificate that the ingress controller itself has."""

    secret_name: DnsName | None = Field(
        None,
        description="Secret of type kubernetes.io/tls in the model's namespace. Left out with issuer: <model>-tls.",
    )
    issuer: Issuer | None = Field(
        None, description="Who issues the certificate into the Secret and renews it; needs cert-manager."
    )


class Gateway(ApiModel):
    """A Gateway of the Gateway API, and the listeners of it that are used."""

    model_config = ConfigDict(
        json_schema_extra=validated(
            cel("!has(self.redirectSectionName) || has(self.sectionName)", REDIRECT_ALONE),
            cel(
                "!has(self.redirectSectionName) || !has(self.sectionName) || self.redirectSectionName != self.sectionName",
                REDIRECT_TO_ITSELF,
            ),
        )
    )

    name: DnsName = Field(description="Name of the Gateway.")
    namespace: DnsName | None = Field(
        None, description="Namespace of the Gateway, whose listeners must allow the model's. Left out: the model's own."
    )
    section_name: DnsName | None = Field(
        None,
        description="Name of the listener that serves the model, such as https. Left out: all that take the host, plain HTTP included.",
    )
    redirect_section_name: DnsName | None = Field(
        None, description="Name of the HTTP listener whose requests are redirected to HTTPS. Left out: none are."
    )

    @model_validator(mode="after")
    def check_sections(self) -> Self:
        """Return the Gateway, unless it redirects to nowhere or to itself."""
        if self.redirect_section_name and not self.section_name:
            raise ValueError(REDIRECT_ALONE)
        if self.redirect_section_name and self.redirect_section_name == self.section_name:
            raise ValueError(REDIRECT_TO_ITSELF)
        return self


ROUTE_RULES = (
    cel(
        "has(self.host) || !(has(self.path) || has(self.tls) || has(self.ingressClassName) || has(self.ingressAnnotations) || has(self.gateway))",
        HOST_MISSING,
    ),
    cel("!has(self.gateway) || !(has(self.ingressClassName) || has(self.ingressAnnotations))", ROUTE_TWICE),
    cel("!has(self.gateway) || !has(self.tls)", TLS_OF_LISTENER),
)
"""Rules of the fields of Routed, for the schema of what has them."""


class Routed(ApiModel):
    """What an endpoint may have that is reached from outside the cluster by a host name."""

    host: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        description=(
            "Host name under which the model is reached from outside, such as faq.example.com: gives an Ingress, or an HTTPRoute where a "
            "Gateway is named here or by the operator's settings."
        ),
        json_schema_extra=validated(HOST_RULE.render()),
    )
    path: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        description="Prefix of the model's paths on the host, such as /faq for /faq/score; the runtime strips it. Left out: /.",
        json_schema_extra=validated(PATH_RULE.render(), RESERVED_RULE.render()),
    )
    tls: Tls | None = Field(
        None, description="HTTPS of the Ingress. Left out: by the operator's default issuer if there is one, else none."
    )
    ingress_class_name: DnsName | None = Field(
        None, description="IngressClass of the Ingress. Left out: the operator's default, else the cluster's."
    )
    ingress_annotations: (
        Annotated[Mapping[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)] | None
    ) = Field(
        None,
        description="Annotations of the Ingress, such as those that its controller reads; they win over the operator's.",
    )
    gateway: Gateway | None = Field(
        None, description="The Gateway to attach an HTTPRoute to. Left out: the operator's default, else an Ingress."
    )

    @field_validator("host")
    @classmethod
    def check_host(cls, host: str | None) -> str | None:
        """Return the host if it is a name."""
        return None if host is None else HOST_RULE.check(host)

    @field_validator("path")
    @classmethod
    def check_path(cls, path: str | None) -> str | None:
        """Return the path if it is a prefix that the runtime can do without."""
        return None if path is None else RESERVED_RULE.check(PATH_RULE.check(path))

    @model_validator(mode="after")
    def check_route(self) -> Self:
        """Return the endpoint, unless its route contradicts itself."""
        of_ingress = (self.ingress_class_name, self.ingress_annotations)
        if self.host is None and any(item is not None for item in (*of_ingress, self.path, self.tls, self.gateway)):
            raise ValueError(HOST_MISSING)
        if self.gateway is not None and any(item is not None for item in of_ingress):
            raise ValueError(ROUTE_TWICE)
        if self.gateway is not None and self.tls is not None:
            raise ValueError(TLS_OF_LISTENER)
        return self

    @property
    def prefix(self) -> str:
        """The path, / when none is given."""
        return self.path or "/"

    def choose_gateway(self, default: Gateway | None) -> Gateway | None:
        """Return the Gateway of the model's HTTPRoute; None when it has an Ingress, or no route at all."""
        if self.host is None or self.ingress_class_name is not None or self.ingress_annotations is not None:
            return None
        return self.gateway or default

    def choose_tls(self, default: Issuer | None) -> Tls | None:
        """Return how the Ingress ends TLS, by the default issuer where the model says nothing; None for plain HTTP."""
        return Tls(issuer=default) if self.tls is None and default is not None else self.tls
