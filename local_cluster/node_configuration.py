"""The configuration files of the real node, rendered from the cluster's paths and addresses; pure."""

from pathlib import Path
from typing import Any

from local_cluster import addresses
from local_cluster.state import Cluster

PAUSE_IMAGE = "localhost/scoring-pause:1"
VOLUME_COUNT = 12
VOLUME_SIZE = "5Gi"
STORAGE_CLASS = "standard"


def node_name(cluster: Cluster) -> str:
    """Name of the cluster's real node."""
    return f"{cluster.name}-node"


def network_name(cluster: Cluster) -> str:
    """Name of the pods' network; iptables comments and CNI's own files carry it."""
    return f"scoring-{cluster.name}"


def render_containerd(cluster: Cluster, cni_programs: Path) -> str:
    """containerd's configuration (TOML, version 2, which newer ones read as well)."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{cluster.data_folder}/containerd"
state = "{cluster.run_folder}/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{cluster.containerd_socket}"

[{cri}]
sandbox_image = "{PAUSE_IMAGE}"
stream_server_address = "{addresses.LOOPBACK}"
netns_mounts_under_state_dir = true
# Without CAP_SYS_RESOURCE no process may lower its own out-of-memory score, and every sandbox would die.
restrict_oom_score_adj = true

# Read at each pull: a folder host:port with a hosts.toml says how one registry is reached, without a restart.
[{cri}.registry]
config_path = "{cluster.registries_folder}"

[{cri}.containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "{cluster.run_folder}/runc"

[{cri}.cni]
bin_dir = "{cni_programs}"
conf_dir = "{cluster.node_folder}/cni"
"""


def render_network(cluster: Cluster) -> dict[str, Any]:
    """CNI's list of plug-ins: pods on one bridge of this machine, host ports by portmap."""
    pods = {
        "subnet": addresses.POD_RANGE,
        "rangeStart": addresses.FIRST_POD_ADDRESS,
        "rangeEnd": addresses.LAST_POD_ADDRESS,
        "gateway": addresses.BRIDGE_ADDRESS,
    }
    bridge = {
        "type": "bridge",
        "bridge": addresses.BRIDGE_DEVICE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(cluster.run_folder / "addresses"),
            "ranges": [[pods]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": network_name(cluster), "plugins": [bridge, portmap]}


def render_kubelet(cluster: Cluster, resolver: Path) -> dict[str, Any]:
    """The kubelet's configuration; `resolver` is the resolv.conf that pods get."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": addresses.BRIDGE_ADDRESS,
        "port": addresses.KUBELET_PORT,
        "healthzBindAddress": addresses.LOOPBACK,
        "healthzPort": addresses.KUBELET_HEALTH_PORT,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(cluster.folder / "pki" / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{cluster.containerd_socket}",
        # Images that were built here cannot be pulled again: never collect them, and evict only when it is very late.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "oomScoreAdj": 0,
        "podLogsDir": str(cluster.data_folder / "pod-logs"),
        "volumePluginDir": str(cluster.data_folder / "volume-plugins"),
        "resolvConf": str(resolver),
        "serializeImagePulls": False,
    }


def render_kube_proxy(cluster: Cluster, kubeconfig: Path) -> dict[str, Any]:
    """kube-proxy's configuration. NodePorts answer at the bridge's address only, never to other machines."""
    leave_alone = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": node_name(cluster),
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": addresses.POD_RANGE,
        "healthzBindAddress": f"{addresses.LOOPBACK}:{addresses.KUBE_PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"{addresses.LOOPBACK}:{addresses.KUBE_PROXY_METRICS_PORT}",
        "nodePortAddresses": [f"{addresses.BRIDGE_ADDRESS}/32"],
        "iptables": {"localhostNodePorts": False},
        "conntrack": leave_alone,
        "oomScoreAdj": 0,
    }


def render_recycler() -> dict[str, Any]:
    """The pod that empties a released volume, so that the next claim gets it clean."""
    container = {
        "name": "recycler",
        "image": PAUSE_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", "find /scrub -mindepth 1 -delete && chmod 0777 /scrub"],
        "volumeMounts": [{"name": "volume", "mountPath": "/scrub"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "volume-recycler", "namespace": "default"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [{"name": "volume", "hostPath": {"path": "/replaced-by-the-controller-manager"}}],
        },
    }


def render_storage(cluster: Cluster) -> dict[str, Any]:
    """The default storage class and its volumes: folders of this machine."""
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }
    volumes = [_render_volume(folder) for folder in volume_folders(cluster)]
    return {"apiVersion": "v1", "kind": "List", "items": [storage_class, *volumes]}


def volume_folders(cluster: Cluster) -> list[Path]:
    """The folders behind the persistent volumes, one each."""
    return [cluster.data_folder / "volumes" / f"volume-{number:02}" for number in range(1, VOLUME_COUNT + 1)]


def _render_volume(folder: Path) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": folder.name},
        "spec": {
            "capacity": {"storage": VOLUME_SIZE},
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Recycle",
            "storageClassName": STORAGE_CLASS,
            "hostPath": {"path": str(folder), "type": "DirectoryOrCreate"},
        },
    }
