"""Traefik as an add-on: an ingress controller, and a controller of the Gateway API, on this machine's loopback.

It reads Secrets, as such a controller must: the certificates of HTTPS.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

from local_cluster import addresses
from local_cluster.certificates import ensure_kubeconfig
from local_cluster.control_plane import apply_definitions, bind_cluster_role, kubectl
from local_cluster.daemons import Daemon
from local_cluster.definitions import read_definitions
from local_cluster.downloads import answers_ok
from local_cluster.programs import program_path
from local_cluster.state import Cluster, write_whole

NAME = "traefik"
"""Of its user, its IngressClass and its GatewayClass."""

REDIRECT = "https"
"""Name of the middleware by which an Ingress redirects HTTP to HTTPS: `https@file`."""

READING = ["get", "list", "watch"]
RULES: list[dict[str, list[str]]] = [
    {"apiGroups": [""], "resources": ["services", "secrets", "configmaps", "nodes", "namespaces"], "verbs": READING},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READING},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": READING},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]},
    {
        "apiGroups": ["gateway.networking.k8s.io"],
        "resources": [
            *("gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants", "backendtlspolicies")
        ],
        "verbs": READING,
    },
    {
        "apiGroups": ["gateway.networking.k8s.io"],
        "resources": [
            f"{kind}/status"
            for kind in ("gatewayclasses", "gateways", "httproutes", "grpcroutes", "backendtlspolicies")
        ],
        "verbs": ["update"],
    },
]


def install_traefik(cluster: Cluster, ports: dict[str, int]) -> None:
    """Give the cluster the Gateway API, Traefik's classes and its rights; write the middleware's configuration."""
    del ports
    apply_definitions(cluster, read_definitions("gateway-api"))
    kubectl(cluster, "apply", "--filename", "-", text_input=json.dumps(render_objects()))
    bind_cluster_role(cluster, NAME, NAME)
    write_whole(_folder(cluster) / "middlewares.yaml", json.dumps(render_middlewares()))


def traefik_daemons(cluster: Cluster, ports: dict[str, int]) -> list[Daemon]:
    """Traefik itself."""
    folder = _folder(cluster)
    kubeconfig = ensure_kubeconfig(cluster, NAME, (), ports["kube-apiserver"], folder)
    health = f"{addresses.LOOPBACK}:{ports['traefik/health']}"
    arguments: list[str | Path] = [
        program_path("traefik"),
        f"--entryPoints.web.address={addresses.LOOPBACK}:{ports['traefik']}",
        f"--entryPoints.websecure.address={addresses.LOOPBACK}:{ports['traefik/https']}",
        "--entryPoints.websecure.http.tls=true",
        f"--entryPoints.traefik.address={health}",
        "--ping=true",
        f"--providers.kubernetesIngress.ingressClass={NAME}",
        "--providers.kubernetesIngress.allowEmptyServices=true",  # As its chart has it: 503 without replicas, not 404.
        f"--providers.kubernetesIngress.ingressEndpoint.ip={addresses.LOOPBACK}",
        "--providers.kubernetesGateway=true",
        f"--providers.kubernetesGateway.statusAddress.ip={addresses.LOOPBACK}",
        f"--providers.file.filename={folder}/middlewares.yaml",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
    ]
    is_healthy = partial(answers_ok, f"http://{health}/ping")
    return [Daemon("Traefik", arguments, folder / "traefik.log", is_healthy, {"KUBECONFIG": str(kubeconfig)})]


def render_objects() -> dict[str, Any]:
    """The classes by which an Ingress or Gateway asks for Traefik, and what it may do."""
    bodies: list[dict[str, Any]] = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "spec": {"controller": "traefik.io/ingress-controller"},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "spec": {"controllerName": "traefik.io/gateway-controller"},
        },
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": RULES},
    ]
    return {"apiVersion": "v1", "kind": "List", "items": [{**body, "metadata": {"name": NAME}} for body in bodies]}


def render_middlewares() -> dict[str, Any]:
    """The redirect to HTTPS, on its usual port whatever the port of this machine's entry point (JSON is YAML too)."""
    return {
        "http": {"middlewares": {REDIRECT: {"redirectScheme": {"scheme": "https", "port": "443", "permanent": True}}}}
    }


def _folder(cluster: Cluster) -> Path:
    return cluster.addons_folder / NAME
