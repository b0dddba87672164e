"""The NetworkPolicy: who may reach a model's replicas, and whom these may reach."""

from urllib.parse import urlsplit

from scoring_operator.api import Manifest, Network, Peer, ScoringModel
from scoring_operator.api.model_uri import REMOTE_SCHEMES
from scoring_operator.kinds import NETWORK_POLICY
from scoring_operator.render.access import find_issuer_ports
from scoring_operator.render.fetching import uses_identity
from scoring_operator.render.metadata import render_object, render_selector
from scoring_operator.settings import Settings

DNS_PORT = 53
HTTPS_PORT = 443
HTTP_PORT = 80
METADATA_SERVERS = {"s3": {"169.254.170.23": 80}, "gs": {"169.254.169.254": 80, "169.254.169.252": 988}}
"""Where a pod's own identity is asked for: EKS Pod Identity's agent, GKE's metadata server. Other identities come by HTTPS."""

NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"


def render_network_policy(model: ScoringModel, settings: Settings) -> Manifest | None:
    """Return the policy of a model with spec.network, or of any when the operator is set so; else None.

    A policy knows addresses, not names: for an artifact that is fetched the port of its host is open to all addresses.
    """
    network = model.spec.network
    if network is None:
        if settings.network_policies == "requested":
            return None
        network = Network()
    spec: Manifest = {
        "podSelector": {"matchLabels": render_selector(model)},
        "policyTypes": ["Egress"],
        "egress": [
            *render_artifact_egress(model),
            *render_issuer_egress(model),
            *(render_egress(peer.ports, peer) for peer in network.egress),
        ],
    }
    if network.ingress is not None:
        spec["policyTypes"] = ["Ingress", "Egress"]
        spec["ingress"] = [{"from": [render_peer(peer) for peer in network.ingress]}] if network.ingress else []
    return render_object(NETWORK_POLICY, model, spec)


def render_artifact_egress(model: ScoringModel) -> list[Manifest]:
    """Return what the replicas need to fetch their artifact: names and the port of its host; nothing for one that is mounted."""
    names = {"ports": [{"protocol": protocol, "port": DNS_PORT} for protocol in ("UDP", "TCP")]}
    source = model.spec.model
    uri = urlsplit(source.uri)
    if uri.scheme not in REMOTE_SCHEMES:
        return [names]
    identity = METADATA_SERVERS.get(uri.scheme, {}) if uses_identity(model) else {}
    return [
        names,
        {"ports": [{"protocol": "TCP", "port": find_port(source.endpoint or source.uri)}]},
        *(
            {"to": [{"ipBlock": {"cidr": f"{address}/32"}}], "ports": [{"protocol": "TCP", "port": port}]}
            for address, port in identity.items()
        ),
    ]


def find_port(address: str) -> int:
    """Return the port of an artifact's URI or of its endpoint."""
    parts = urlsplit(address)
    return parts.port or (HTTP_PORT if parts.scheme == "http" else HTTPS_PORT)


def render_issuer_egress(model: ScoringModel) -> list[Manifest]:
    """Return what the replicas need to fetch the public keys of their tokens' issuer: the port of its host."""
    return [{"ports": [{"protocol": "TCP", "port": port}]} for port in find_issuer_ports(model)]


def render_egress(ports: tuple[int, ...], peer: Peer) -> Manifest:
    """Return the rule for one destination."""
    rule: Manifest = {"to": [render_peer(peer)]}
    if ports:
        rule["ports"] = [{"protocol": "TCP", "port": port} for port in ports]
    return rule


def render_peer(peer: Peer) -> Manifest:
    """Return a peer as networking.k8s.io/v1 writes it."""
    if peer.cidr is not None:
        return {"ipBlock": {"cidr": peer.cidr}}
    namespace_labels = {NAMESPACE_NAME_LABEL: peer.namespace} if peer.namespace else peer.namespace_labels
    selectors = {"namespaceSelector": namespace_labels, "podSelector": peer.pod_labels}
    return {name: {"matchLabels": dict(labels)} for name, labels in selectors.items() if labels}
