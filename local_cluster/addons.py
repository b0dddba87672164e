"""The add-ons of a cluster, each a program or two beside the control plane: KEDA, Karpenter and Prometheus.

Off by default: KEDA and Karpenter are built for minutes where no one publishes their programs.
"""

from collections.abc import Callable

from local_cluster.karpenter import raise_karpenter
from local_cluster.keda import raise_keda
from local_cluster.ports import ADDON_PORTS, choose_ports
from local_cluster.prometheus import raise_prometheus
from local_cluster.state import Addon, Cluster, Record, other_clusters, save_record

RAISERS: dict[Addon, Callable[[Cluster, dict[str, int]], None]] = {
    Addon.KARPENTER: raise_karpenter,
    Addon.KEDA: raise_keda,
    Addon.PROMETHEUS: raise_prometheus,
}


def raise_addons(cluster: Cluster, record: Record) -> None:
    """Start what does not run of the cluster's add-ons, and wait until they work."""
    _choose_ports(cluster, record)
    for addon in record.addons:
        RAISERS[addon](cluster, record.ports)


def _choose_ports(cluster: Cluster, record: Record) -> None:
    names = [name for addon in record.addons for name in ADDON_PORTS[addon] if name not in record.ports]
    if names:
        taken = [port for _, other in other_clusters(cluster) for port in other.ports.values()]
        record.ports |= choose_ports(names, [*taken, *record.ports.values()])
        save_record(cluster, record)
