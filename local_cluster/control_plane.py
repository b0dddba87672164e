"""The control plane of a cluster: etcd, API server, controller-manager, scheduler, kwok and metrics-server, by kwokctl.

kwokctl makes the certificates, knows the arguments and starts what is not running. What it cannot do is done here:
its files with process numbers are put right first, since after a crash or a reboot they may name other processes.
"""

import json
from pathlib import Path
from typing import Any

from local_cluster import addresses
from local_cluster.commands import run, try_run
from local_cluster.errors import CommandFailed, NotHealthy
from local_cluster.ports import CONTROL_PLANE_PORTS, choose_ports
from local_cluster.processes import CONTROL_PLANE, TOOLS, find_processes, log_tail, stop_process, wait_until
from local_cluster.programs import program_path
from local_cluster.releases import KUBERNETES_VERSION
from local_cluster.state import (
    Cluster,
    NodeKind,
    Record,
    cache_folder,
    other_clusters,
    remove_folder,
    save_record,
    state_folder,
    write_whole,
)

FAKE_NODE_ANNOTATION = "kwok.x-k8s.io/node=fake"
READY_SECONDS = 90


def render_configuration(cluster: Cluster, ports: dict[str, int], node: NodeKind) -> dict[str, Any]:
    """kwokctl's configuration of the cluster; `ports` has one for each of CONTROL_PLANE_PORTS."""
    options = {
        "runtime": "binary",
        "kubeVersion": KUBERNETES_VERSION,
        "bindAddress": addresses.LOOPBACK,
        "securePort": True,
        "kubeAuthorization": True,
        "kubeAdmission": True,
        "enable": ["metrics-server"],
        "disableQPSLimits": True,
        "cacheDir": str(cache_folder() / "kwok"),
        "kubeApiserverCertSANs": [
            addresses.API_SERVICE_ADDRESS,
            *([addresses.BRIDGE_ADDRESS] if node == "real" else []),
        ],
        # A node is lost after 50 s, as in any cluster; kwokctl's own default is some minutes. Fake nodes renew their
        # leases four times as often.
        "nodeLeaseDurationSeconds": 40,
        "kubeControllerManagerNodeMonitorPeriodMilliseconds": 5000,
        "kubeControllerManagerNodeMonitorGracePeriodMilliseconds": 50000,
        **_render_ports(ports),
        **_render_programs(),
    }
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": options,
        "componentsPatches": _render_patches(cluster, node),
    }


def _render_ports(ports: dict[str, int]) -> dict[str, int]:
    return {
        "kubeApiserverPort": ports["kube-apiserver"],
        "etcdPort": ports["etcd"],
        "etcdPeerPort": ports["etcd-peer"],
        "kubeControllerManagerPort": ports["kube-controller-manager"],
        "kubeSchedulerPort": ports["kube-scheduler"],
        "kwokControllerPort": ports["kwok-controller"],
        "metricsServerPort": ports["metrics-server"],
    }


def _render_programs() -> dict[str, str]:
    return {
        option: str(program_path(name))
        for option, name in {
            "etcdBinary": "etcd",
            "kubeApiserverBinary": "kube-apiserver",
            "kubeControllerManagerBinary": "kube-controller-manager",
            "kubeSchedulerBinary": "kube-scheduler",
            "kubectlBinary": "kubectl",
            "kwokControllerBinary": "kwok",
            "metricsServerBinary": "metrics-server",
        }.items()
    }


def _render_patches(cluster: Cluster, node: NodeKind) -> list[dict[str, Any]]:
    pki = cluster.folder / "pki"
    api_server = {
        "service-cluster-ip-range": addresses.SERVICE_RANGE,
        # Aggregated APIs (metrics) see who asks, instead of taking everybody for the API server itself.
        "requestheader-client-ca-file": str(pki / "ca.crt"),
        "requestheader-allowed-names": "kwok-admin",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
    }
    # One of each runs: without elections a restarted one works at once, and none ends itself because of a pause.
    scheduler = {"leader-elect": "false"}
    controller_manager = {
        "leader-elect": "false",
        "horizontal-pod-autoscaler-sync-period": "5s",
        "horizontal-pod-autoscaler-cpu-initialization-period": "30s",
        "horizontal-pod-autoscaler-initial-readiness-delay": "10s",
        "cluster-signing-cert-file": str(pki / "ca.crt"),
        "cluster-signing-key-file": str(pki / "ca.key"),
        # Its default lies in /usr, and it makes the folder.
        "flex-volume-plugin-dir": str(cluster.folder / "volume-plugins"),
    }
    if node == "real":
        api_server |= {
            "advertise-address": addresses.BRIDGE_ADDRESS,
            "kubelet-client-certificate": str(pki / "admin.crt"),
            "kubelet-client-key": str(pki / "admin.key"),
            "kubelet-preferred-address-types": "InternalIP",
        }
        controller_manager["pv-recycler-pod-template-filepath-hostpath"] = str(cluster.node_folder / "recycler.json")
        controller_manager["pv-recycler-minimum-timeout-hostpath"] = "60"
    kwok = {"manage-all-nodes": "false", "manage-nodes-with-annotation-selector": FAKE_NODE_ANNOTATION}
    metrics_server = {"metric-resolution": "10s", "kubelet-request-timeout": "5s"}
    return [
        _render_patch("kube-apiserver", api_server),
        _render_patch("kube-controller-manager", controller_manager),
        _render_patch("kube-scheduler", scheduler),
        _render_patch("kwok-controller", kwok, replaces="manage-all-nodes"),
        _render_patch("metrics-server", metrics_server, replaces="metric-resolution"),
    ]


def _render_patch(component: str, arguments: dict[str, str], *, replaces: str = "") -> dict[str, Any]:
    extra = [{"key": key, "value": value, "override": key == replaces} for key, value in arguments.items()]
    return {"name": component, "extraArgs": extra}


def create_control_plane(cluster: Cluster, record: Record) -> None:
    """Make the control plane's certificates and configuration and start it for the first time."""
    # A run that was interrupted here before left a part, which is not worth mending.
    for process in (*find_processes(cluster, TOOLS), *find_processes(cluster, CONTROL_PLANE)):
        stop_process(process, 1)
    for part in ("etcd", "pki", "bin", "pids"):
        remove_folder(cluster.folder / part)
    (cluster.folder / "kwok.yaml").unlink(missing_ok=True)
    taken = [port for _, other in other_clusters(cluster) for port in other.ports.values()]
    record.ports = choose_ports(CONTROL_PLANE_PORTS, taken)
    save_record(cluster, record)
    configuration = cluster.folder / "kwokctl.json"
    write_whole(configuration, json.dumps(render_configuration(cluster, record.ports, record.node), indent=2))
    _kwokctl(cluster, "--config", configuration, "create", "cluster", "--kubeconfig", cluster.folder / "context")
    write_kubeconfig(cluster)
    record.created = True
    save_record(cluster, record)


def start_control_plane(cluster: Cluster) -> list[str]:
    """Start what is not running of a control plane that was created before; returns the names of those."""
    dead = correct_process_files(cluster)
    if dead:
        _kwokctl(cluster, "start", "cluster")
    return dead


def correct_process_files(cluster: Cluster) -> list[str]:
    """Make kwokctl's files with process numbers true; returns the components that do not run."""
    running = {process.program: process.pid for process in find_processes(cluster, CONTROL_PLANE)}
    folder = cluster.folder / "pids"
    for name in CONTROL_PLANE:
        path = folder / f"{name}.pid"
        if name in running:
            write_whole(path, str(running[name]), mode=0o640)
        else:
            path.unlink(missing_ok=True)
    return [name for name in CONTROL_PLANE if name not in running]


def wait_for_control_plane(cluster: Cluster) -> None:
    """Wait until the API server, its default service account and every component answer; NotHealthy if they do not."""
    account = ("get", "serviceaccount", "default", "--namespace", "default", "--output", "name")
    try:
        wait_until(lambda: is_api_ready(cluster), "the API server is ready", READY_SECONDS)
        wait_until(lambda: bool(ask_kubectl(cluster, *account)), "pods can be created", READY_SECONDS)
        # Those that gave up because the API server was not there yet get another chance.
        wait_until(lambda: not start_control_plane(cluster), "every component keeps running", 20)
    except NotHealthy as error:
        raise NotHealthy(f"{error}\n{_describe_dead(cluster)}") from error


def _describe_dead(cluster: Cluster) -> str:
    """The ends of the logs of the components that do not run; of the API server when all do."""
    logs = cluster.folder / "logs"
    names = correct_process_files(cluster) or ["kube-apiserver"]
    return "\n".join(f"the end of {logs}/{name}.log:\n{log_tail(logs / f'{name}.log')}" for name in names)


def is_api_ready(cluster: Cluster) -> bool:
    """Whether the API server says that it is ready."""
    return ask_kubectl(cluster, "get", "--raw", "/readyz") is not None


def kubectl(cluster: Cluster, *arguments: str, text_input: str | None = None) -> str:
    """Run kubectl against the cluster; returns what it prints; CommandFailed when it fails."""
    return run([*_kubectl(cluster), *arguments], text_input=text_input, timeout_seconds=120)


def ask_kubectl(cluster: Cluster, *arguments: str) -> str | None:
    """Run kubectl against the cluster; None when it fails or the API server does not answer in a few seconds."""
    return try_run([*_kubectl(cluster), "--request-timeout=5s", *arguments], timeout_seconds=15)


def apply_definitions(cluster: Cluster, definitions: str) -> None:
    """Apply custom resource definitions and wait until their kinds are served."""
    kubectl(cluster, "apply", "--server-side", "--force-conflicts", "--filename", "-", text_input=definitions)
    wait_until(lambda: _are_served(cluster, definitions), "the new kinds are served", READY_SECONDS)


def _are_served(cluster: Cluster, definitions: str) -> bool:
    # kubectl gives up at once on a definition that has no conditions at all yet.
    wait = ("wait", "--for=condition=Established", "--timeout=10s", "--filename", "-")
    try:
        kubectl(cluster, *wait, text_input=definitions)
    except CommandFailed:
        return False
    return True


def bind_cluster_role(cluster: Cluster, user: str, role: str) -> None:
    """Give a user a ClusterRole in all namespaces; the binding has the user's name."""
    group = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    kubectl(cluster, "apply", "--filename", "-", text_input=json.dumps(binding))


def _kubectl(cluster: Cluster) -> list[str | Path]:
    # Its notes on what the API server offers are kept with the cluster, not in the user's home.
    cache = cluster.folder / "kubectl"
    return [program_path("kubectl"), "--kubeconfig", cluster.kubeconfig, "--cache-dir", cache]


def write_kubeconfig(cluster: Cluster) -> None:
    """Write a kubeconfig that holds its certificates itself, so that it can be copied."""
    source = cluster.folder / "context"
    text = run([program_path("kubectl"), "--kubeconfig", source, "config", "view", "--raw", "--flatten"])
    write_whole(cluster.kubeconfig, text)


def _kwokctl(cluster: Cluster, *arguments: str | Path) -> str:
    command: list[str | Path] = [program_path("kwokctl"), "--name", cluster.name, *arguments]
    return run(command, environment={"KWOK_WORKDIR": str(state_folder())}, timeout_seconds=300)
