"""spec.endpoint of a ScoringModel: how the endpoint is reached, and by whom (access.py)."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from scoring_operator.api.access import ApiKeys, Clients, Jwt, RateLimit, Timeouts
from scoring_operator.api.base import Cidr, cel, validated
from scoring_operator.api.route import ROUTE_RULES, Routed

LOAD_BALANCER_ONLY = "loadBalancerClass and loadBalancerSourceRanges are for type LoadBalancer only"
OUTSIDE_ONLY = "externalTrafficPolicy is for types NodePort and LoadBalancer only"


class Endpoint(Routed):
    """How the scoring endpoint is reached."""

    model_config = ConfigDict(
        json_schema_extra=validated(
            *ROUTE_RULES,
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
    load_balancer_source_ranges: tuple[Cidr, ...] | None = Field(
        None, min_length=1, max_length=64, description="IP networks that may reach the load balancer. Left out: all."
    )
    external_traffic_policy: Literal["Cluster", "Local"] | None = Field(
        None,
        description=(
            "Cluster: every node answers and hands on, and replicas may see a node's address as the client's. Local: only nodes with a replica answer, "
            "and replicas see the client's own. Left out: Cluster."
        ),
    )
    api_keys: ApiKeys | None = Field(
        None, description="API keys that requests must show. Left out, and without jwt: everybody may ask."
    )
    jwt: Jwt | None = Field(
        None, description="Tokens of an issuer that requests must show; with apiKeys, either will do."
    )
    rate_limit: RateLimit | None = Field(None, description="How many requests per second a key or a client may send.")
    clients: Clients | None = Field(None, description="What one client may hold, and how it is found behind proxies.")
    max_body_bytes: int | None = Field(
        None,
        ge=1,
        le=2**30,
        description="Requests with a larger body are refused with 413. Left out: 8388608 (8 MiB).",
    )
    timeouts: Timeouts | None = Field(None, description="How long a client may take to send its request.")

    @model_validator(mode="after")
    def check_type(self) -> Self:
        """Return the endpoint, unless it has a field that its type knows nothing of."""
        if self.type != "LoadBalancer" and (self.load_balancer_class or self.load_balancer_source_ranges):
            raise ValueError(LOAD_BALANCER_ONLY)
        if self.type == "ClusterIP" and self.external_traffic_policy:
            raise ValueError(OUTSIDE_ONLY)
        return self
