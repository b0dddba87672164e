"""spec.network of a ScoringModel: who may reach the replicas, and whom they may reach."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from scoring_operator.api.base import ApiModel, Cidr, DnsName, Label, cel, validated

PEER_REQUIRED = "name namespace, namespaceLabels, podLabels or cidr"
CIDR_ALONE = "cidr stands alone, without namespace, namespaceLabels or podLabels"
NAMESPACE_TWICE = "namespace and namespaceLabels exclude each other"

Labels = Annotated[Mapping[str, Label], Field(min_length=1, max_length=32)]


class Peer(ApiModel):
    """Pods of some namespaces, or addresses outside the cluster."""

    model_config = ConfigDict(
        json_schema_extra=validated(
            cel(
                "has(self.namespace) || has(self.namespaceLabels) || has(self.podLabels) || has(self.cidr)",
                PEER_REQUIRED,
            ),
            cel(
                "!has(self.cidr) || !(has(self.namespace) || has(self.namespaceLabels) || has(self.podLabels))",
                CIDR_ALONE,
            ),
            cel("!has(self.namespace) || !has(self.namespaceLabels)", NAMESPACE_TWICE),
        )
    )

    namespace: DnsName | None = Field(None, description="Name of a namespace.")
    namespace_labels: Labels | None = Field(None, description="Labels that the namespace must have.")
    pod_labels: Labels | None = Field(
        None,
        description="Labels that the pods must have. Without namespace and namespaceLabels: pods of the model's own namespace.",
    )
    cidr: Cidr | None = Field(None, description="An IP network outside the cluster, such as 10.0.0.0/8.")

    @model_validator(mode="after")
    def check_fields(self) -> Self:
        """Return the peer, unless it says nothing or contradicts itself."""
        inside = (self.namespace, self.namespace_labels, self.pod_labels)
        if self.cidr is None and not any(inside):
            raise ValueError(PEER_REQUIRED)
        if self.cidr is not None and any(inside):
            raise ValueError(CIDR_ALONE)
        if self.namespace and self.namespace_labels:
            raise ValueError(NAMESPACE_TWICE)
        return self


class Destination(Peer):
    """Whom the replicas may reach."""

    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        (), max_length=32, description="TCP ports. Left out: all."
    )


class Network(ApiModel):
    """A NetworkPolicy: who may reach the replicas, and whom they may reach."""

    ingress: tuple[Peer, ...] | None = Field(
        None, max_length=64, description="Who may reach the endpoint. Left out: everybody. An empty list: nobody."
    )
    egress: tuple[Destination, ...] = Field(
        (),
        max_length=64,
        description=(
            "Whom the replicas may reach, such as a database that the model's code asks. Open besides: DNS; the port of a fetched artifact's host and "
            "that of the tokens' issuer, at any address and not at that host only, since a policy knows no names; all pods of such a host's "
            "namespace, where it is written with .svc; and the server of a cloud that gives pods their identity, where the artifact is fetched with it."
        ),
    )
