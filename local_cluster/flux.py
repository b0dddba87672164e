"""Flux's kustomize-controller as an add-on: it keeps a cluster like the manifests that a source holds.

Flux's source-controller is not part of it, since its modules cannot all be had: somebody else has to write the status of a GitRepository,
with an artifact's address on this machine.
"""

from functools import partial
from pathlib import Path

from local_cluster import addresses
from local_cluster.certificates import ensure_kubeconfig
from local_cluster.control_plane import apply_definitions, bind_cluster_role
from local_cluster.daemons import Daemon
from local_cluster.definitions import read_definitions
from local_cluster.downloads import answers_ok
from local_cluster.programs import program_path
from local_cluster.state import Cluster

PROGRAM = "kustomize-controller"
USER = "flux"
DEFINITIONS = ("kustomize-controller", "source-controller")


def install_flux(cluster: Cluster, ports: dict[str, int]) -> None:
    """Give the cluster Flux's kinds and rights."""
    del ports
    for name in DEFINITIONS:
        apply_definitions(cluster, read_definitions(name))
    # As its own manifests have it: what it applies may be of any kind.
    bind_cluster_role(cluster, USER, "cluster-admin")


def flux_daemons(cluster: Cluster, ports: dict[str, int]) -> list[Daemon]:
    """The controller."""
    folder = cluster.addons_folder / "flux"
    kubeconfig = ensure_kubeconfig(cluster, USER, (), ports["kube-apiserver"], folder)
    health = f"{addresses.LOOPBACK}:{ports[f'{PROGRAM}/health']}"
    arguments: list[str | Path] = [
        program_path(PROGRAM),
        f"--metrics-addr={addresses.LOOPBACK}:{ports[PROGRAM]}",
        f"--health-addr={health}",
        "--watch-all-namespaces=true",
        "--no-remote-bases=true",
        "--no-cross-namespace-refs=true",
        "--requeue-dependency=5s",
        # It reads KUBECONFIG and no argument; a cluster's processes are known by their arguments.
        kubeconfig,
    ]
    environment = {"KUBECONFIG": str(kubeconfig), "RUNTIME_NAMESPACE": "default", "NO_PROXY": "*"}
    is_healthy = partial(answers_ok, f"http://{health}/healthz")
    return [Daemon("Flux's kustomize-controller", arguments, folder / f"{PROGRAM}.log", is_healthy, environment)]
