"""A cluster made ready for an operator that runs as a process of this machine, with the rights that the chart gives it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api_proxy import ApiProxy
from helm_chart import NAMESPACE, RELEASE, render_chart
from identities import write_kubeconfig
from kubectl import Kubectl
from local_clusters import ROOT, open_cluster
from operator_processes import OperatorProcess

ROLE_KINDS = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


def prepare_cluster(name: str, manifests: Path, *addons: str) -> Kubectl:
    """Return kubectl for a local cluster without a real node, with add-ons, our CRDs and some manifests in it."""
    kubectl = open_cluster(name, "none", *addons)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    kubectl("wait", "--for=condition=Established", "-f", str(ROOT / "crds"))
    kubectl("apply", "-f", str(manifests))
    return kubectl


def make_roles(kubectl: Kubectl) -> None:
    """Make the chart's roles, and the operator's own account bound to its own."""
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    kubectl.in_namespace(NAMESPACE).apply(*(body for body in render_chart() if body["kind"] in ROLE_KINDS))


def write_operator_kubeconfig(kubectl: Kubectl, folder: Path) -> Path:
    """Write the kubeconfig of the operator's own account and return its path."""
    return write_kubeconfig(kubectl.in_namespace(NAMESPACE), RELEASE, folder / "kubeconfig")


@contextmanager
def run_operator(kubectl: Kubectl, folder: Path) -> Iterator[OperatorProcess]:
    """Yield a running operator, which may do what the chart lets it and nothing else; who ends it starts it again."""
    process = OperatorProcess(kubectl, folder / "operator.log", kubeconfig=write_operator_kubeconfig(kubectl, folder))
    process.start()
    yield process
    process.stop()


@contextmanager
def open_proxy(kubectl: Kubectl, folder: Path) -> Iterator[tuple[ApiProxy, OperatorProcess]]:
    """Yield a proxy in front of the API server, and an operator that is to talk through it and is not started yet."""
    proxy = ApiProxy(write_operator_kubeconfig(kubectl, folder))
    kubeconfig = proxy.write_kubeconfig(folder / "proxied")
    process = OperatorProcess(kubectl, folder / "operator.log", kubeconfig=kubeconfig)
    try:
        yield proxy, process
    finally:
        if process.is_running():
            process.stop()
        proxy.close()
