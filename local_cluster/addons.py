"""The add-ons of a cluster, each a program or two beside the control plane: cert-manager, Flux, KEDA, Karpenter, Prometheus and Traefik.

Off by default: some are built for minutes where no one publishes their programs.
"""

from collections.abc import Callable
from dataclasses import dataclass

from local_cluster.cert_manager import cert_manager_daemons, install_cert_manager
from local_cluster.daemons import Daemon, ensure_running
from local_cluster.flux import flux_daemons, install_flux
from local_cluster.karpenter import install_karpenter, karpenter_daemons
from local_cluster.keda import install_keda, keda_daemons
from local_cluster.ports import ADDON_PORTS, choose_ports
from local_cluster.processes import find_processes
from local_cluster.prometheus import install_prometheus, prometheus_daemons
from local_cluster.state import Addon, Cluster, Record, other_clusters, save_record
from local_cluster.steps import step
from local_cluster.traefik import install_traefik, traefik_daemons


@dataclass(frozen=True)
class Recipe:
    """How an add-on comes to a cluster: what the API server must have first, and what runs."""

    title: str
    install: Callable[[Cluster, dict[str, int]], None]
    daemons: Callable[[Cluster, dict[str, int]], list[Daemon]]


RECIPES = {
    Addon.CERT_MANAGER: Recipe("cert-manager's kinds", install_cert_manager, cert_manager_daemons),
    Addon.FLUX: Recipe("Flux's kinds", install_flux, flux_daemons),
    Addon.KARPENTER: Recipe("Karpenter's kinds", install_karpenter, karpenter_daemons),
    Addon.KEDA: Recipe("KEDA's kinds", install_keda, keda_daemons),
    Addon.PROMETHEUS: Recipe("Prometheus' rights", install_prometheus, prometheus_daemons),
    Addon.TRAEFIK: Recipe("Traefik's classes, and the Gateway API", install_traefik, traefik_daemons),
}


def raise_addons(cluster: Cluster, record: Record) -> None:
    """Start what does not run of the cluster's add-ons, and wait until they work."""
    _choose_ports(cluster, record)
    for addon in record.addons:
        recipe = RECIPES[addon]
        daemons = recipe.daemons(cluster, record.ports)
        if not all(find_processes(cluster, [daemon.program]) for daemon in daemons):
            with step(recipe.title):
                recipe.install(cluster, record.ports)
        for daemon in daemons:
            ensure_running(cluster, daemon)


def _choose_ports(cluster: Cluster, record: Record) -> None:
    names = [name for addon in record.addons for name in ADDON_PORTS[addon] if name not in record.ports]
    if names:
        taken = [port for _, other in other_clusters(cluster) for port in other.ports.values()]
        record.ports |= choose_ports(names, [*taken, *record.ports.values()])
        save_record(cluster, record)
