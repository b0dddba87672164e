"""The NetworkPolicy: who may reach a model's replicas, and whom these may reach."""

import re
from urllib.parse import urlsplit

from scoring_operator.api import Manifest, Network, Peer, ScoringModel
from scoring_operator.api.model_uri import REMOTE_SCHEMES
from scoring_operator.kinds import NETWORK_POLICY
from scoring_operator.render.access import find_issuer_address
from scoring_operator.render.fetching import uses_identity
from scoring_operator.render.metadata import render_object, render_selector
from scoring_operator.settings import Settings

DNS_PORTS = (53, 5353)
"""Of the cluster's DNS: that of its Service, and that of OpenShift's pods behind it."""

HTTPS_PORT = 443
HTTP_PORT = 80
API_SERVER = re.compile(r"kubernetes\.default\.svc(\..*)?")
API_SERVER_PORT = 6443
"""Where the API server listens behind its Service, as a rule."""

SERVICE = re.compile(r"([^.]+\.)+?(?P<namespace>[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)\.svc(\..*)?")
"""Hosts inside the cluster: the name of a Service, or of a pod of one, with .svc."""

HOST_SCHEMES = ("https", "http", "oci")
"""Schemes of addresses in which a host is named; in those of stores it is a bucket."""

METADATA_SERVERS = {"s3": {"169.254.170.23": 80}, "gs": {"169.254.169.254": 80, "169.254.169.252": 988}}
"""Where a pod's own identity is asked for: EKS Pod Identity's agent, GKE's metadata server. Other identities come by HTTPS."""

NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"


def render_network_policy(model: ScoringModel, settings: Settings) -> Manifest | None:
    """Return the policy of a model with spec.network, or of any when the operator is set so; else None."""
    network = model.spec.network
    if network is None:
        if settings.network_policies == "requested":
            return None
        network = Network()
    issuer = find_issuer_address(model)
    spec: Manifest = {
        "podSelector": {"matchLabels": render_selector(model)},
        "policyTypes": ["Egress"],
        "egress": [
            *render_artifact_egress(model),
            *(render_host_egress(issuer) if issuer else []),
            *(render_egress(peer.ports, peer) for peer in network.egress),
        ],
    }
    if network.ingress is not None:
        spec["policyTypes"] = ["Ingress", "Egress"]
        spec["ingress"] = [{"from": [render_peer(peer) for peer in network.ingress]}] if network.ingress else []
    return render_object(NETWORK_POLICY, model, spec)


def render_artifact_egress(model: ScoringModel) -> list[Manifest]:
    """Return what the replicas need to fetch their artifact: names and the port of its host; nothing for one that is mounted."""
    names = {"ports": [{"protocol": protocol, "port": port} for port in DNS_PORTS for protocol in ("UDP", "TCP")]}
    source = model.spec.model
    uri = urlsplit(source.uri)
    if uri.scheme not in REMOTE_SCHEMES:
        return [names]
    identity = METADATA_SERVERS.get(uri.scheme, {}) if uses_identity(model) else {}
    return [
        names,
        *render_host_egress(source.endpoint or source.uri),
        *(
            {"to": [{"ipBlock": {"cidr": f"{address}/32"}}], "ports": [{"protocol": "TCP", "port": port}]}
            for address, port in identity.items()
        ),
    ]


def render_host_egress(address: str) -> list[Manifest]:
    """Return what the replicas need to reach the host of an address.

    A policy knows addresses, not names: the port is open to all of them. Behind a Service it is held to a pod's address and port, which may
    be another one: so for a host inside the cluster its namespace is open, and for the API server, which is no pod there, its own port.
    """
    parts = urlsplit(address)
    host = (parts.hostname or "") if parts.scheme in HOST_SCHEMES else ""
    ports = {parts.port or (HTTP_PORT if parts.scheme == "http" else HTTPS_PORT)}
    if API_SERVER.fullmatch(host):
        return [open_ports(*sorted({*ports, API_SERVER_PORT}))]
    service = SERVICE.fullmatch(host)
    inside = [render_egress((), Peer(namespace=service["namespace"]))] if service else []
    return [open_ports(*ports), *inside]


def open_ports(*ports: int) -> Manifest:
    """Return the rule that opens TCP ports to all addresses."""
    return {"ports": [{"protocol": "TCP", "port": port} for port in ports]}


def render_egress(ports: tuple[int, ...], peer: Peer) -> Manifest:
    """Return the rule for one destination."""
    return {"to": [render_peer(peer)], **(open_ports(*ports) if ports else {})}


def render_peer(peer: Peer) -> Manifest:
    """Return a peer as networking.k8s.io/v1 writes it."""
    if peer.cidr is not None:
        return {"ipBlock": {"cidr": peer.cidr}}
    namespace_labels = {NAMESPACE_NAME_LABEL: peer.namespace} if peer.namespace else peer.namespace_labels
    selectors = {"namespaceSelector": namespace_labels, "podSelector": peer.pod_labels}
    return {name: {"matchLabels": dict(labels)} for name, labels in selectors.items() if labels}
