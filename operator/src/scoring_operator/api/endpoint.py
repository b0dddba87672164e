"""spec.endpoint and spec.network of a ScoringModel: how the endpoint is reached, by whom, and what the replicas may reach."""

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from scoring_operator.api.base import ApiModel, DnsName, Label, cel, validated

LOAD_BALANCER_ONLY = "loadBalancerClass and loadBalancerSourceRanges are for type LoadBalancer only"
OUTSIDE_ONLY = "externalTrafficPolicy is for types NodePort and LoadBalancer only"
PEER_REQUIRED = "name namespace, namespaceLabels, podLabels or cidr"
CIDR_ALONE = "cidr stands alone, without namespace, namespaceLabels or podLabels"
NAMESPACE_TWICE = "namespace and namespaceLabels exclude each other"
CIDR_INVALID = "cidr must be an IP network such as 10.0.0.0/8"

Labels = Annotated[Mapping[str, Label], Field(min_length=1, max_length=32)]
Cidr = Annotated[str, Field(max_length=49)]


def check_cidr(cidr: str) -> str:
    """Return an IP network as it is; raises ValueError when it is none."""
    try:
        ipaddress.ip_network(cidr)
    except ValueError as error:
        raise ValueError(CIDR_INVALID) from error
    return cidr


class Endpoint(ApiModel):
    """How the scoring endpoint is reached."""

    model_config = ConfigDict(
        json_schema_extra=validated(
            cel(
                "self.type == 'LoadBalancer' || (!has(self.loadBalancerClass) && !has(self.loadBalancerSourceRanges))",
                LOAD_BALANCER_ONLY,
            ),
            cel("self.type != 'ClusterIP' || !has(self.externalTrafficPolicy)", OUTSIDE_ONLY),
        )
    )

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = Field(
        "ClusterIP",
        description=(
            "ClusterIP: inside the cluster only, on port 80. NodePort: also on a port of each node, which the cluster chooses. LoadBalancer: the "
            "cluster's load balancer gives an address, shown in status.url."
        ),
    )
    grpc: bool = Field(
        False, description="Also answer the Open Inference Protocol over gRPC, at port 8081 of the same address."
    )
    annotations: Annotated[Mapping[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)] | None = Field(
        None, description="Annotations of the Service, such as those that a cloud's load balancer reads."
    )
    load_balancer_class: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        description="Which load balancer of the cluster is asked, with type LoadBalancer.",
    )
    load_balancer_source_ranges: (
        tuple[Annotated[Cidr, Field(json_schema_extra=validated(cel("isCIDR(self)", CIDR_INVALID)))], ...] | None
    ) = Field(
        None, min_length=1, max_length=64, description="IP networks that may reach the load balancer. Left out: all."
    )
    external_traffic_policy: Literal["Cluster", "Local"] | None = Field(
        None, description="Local: only nodes with a replica answer, and replicas see the client's address."
    )

    @field_validator("load_balancer_source_ranges")
    @classmethod
    def check_ranges(cls, ranges: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Return the networks if each is one."""
        return None if ranges is None else tuple(check_cidr(cidr) for cidr in ranges)

    @model_validator(mode="after")
    def check_type(self) -> Self:
        """Return the endpoint, unless it has a field that its type knows nothing of."""
        if self.type != "LoadBalancer" and (self.load_balancer_class or self.load_balancer_source_ranges):
            raise ValueError(LOAD_BALANCER_ONLY)
        if self.type == "ClusterIP" and self.external_traffic_policy:
            raise ValueError(OUTSIDE_ONLY)
        return self


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
        None, description="Labels that the pods must have; without a namespace, those of the model's own."
    )
    cidr: Cidr | None = Field(
        None,
        description="An IP network outside the cluster, such as 10.0.0.0/8.",
        json_schema_extra=validated(cel("isCIDR(self)", CIDR_INVALID)),
    )

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
        if self.cidr is not None:
            check_cidr(self.cidr)
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
        description="Whom the replicas may reach beside DNS and the host of spec.model.uri, such as a database that the model's code asks.",
    )
