"""Prometheus as an add-on: scrapes the real node's pods that ask for it by annotation, and targets named in files; with our alerts."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from local_cluster import addresses
from local_cluster.certificates import ensure_kubeconfig
from local_cluster.control_plane import bind_cluster_role
from local_cluster.daemons import Daemon
from local_cluster.downloads import answers_ok
from local_cluster.programs import program_path
from local_cluster.state import REPOSITORY, Cluster, write_whole

RULES = REPOSITORY / "charts" / "scoring-operator" / "rules" / "scoring.yaml"
USER = "prometheus"
SCRAPE_INTERVAL = "5s"
POD_ADDRESSES = r"10\.246\.0\.\d+|127\.0\.0\.1"
"""Of addresses.POD_RANGE, or of this machine. A fake node's other pods have addresses that nobody serves, or somebody else."""

ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_io_"


def install_prometheus(cluster: Cluster, ports: dict[str, int]) -> None:
    """Write its configuration, and give it the right to read pods."""
    folder = cluster.addons_folder / "prometheus"
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    kubeconfig = ensure_kubeconfig(cluster, USER, (), ports["kube-apiserver"], folder)
    write_whole(folder / "prometheus.json", json.dumps(render_configuration(folder, kubeconfig), indent=2))
    bind_cluster_role(cluster, USER, "view")


def prometheus_daemons(cluster: Cluster, ports: dict[str, int]) -> list[Daemon]:
    """Prometheus itself."""
    folder = cluster.addons_folder / "prometheus"
    address = f"{addresses.LOOPBACK}:{ports['prometheus']}"
    arguments: list[str | Path] = [
        program_path("prometheus"),
        f"--config.file={folder}/prometheus.json",
        f"--storage.tsdb.path={folder}/data",
        "--storage.tsdb.retention.time=1d",
        f"--web.listen-address={address}",
    ]
    is_healthy = partial(answers_ok, f"http://{address}/-/ready")
    return [Daemon("Prometheus", arguments, folder / "prometheus.log", is_healthy)]


def render_configuration(folder: Path, kubeconfig: Path) -> dict[str, Any]:
    """Prometheus' configuration (JSON is YAML too)."""
    pods = {
        "job_name": "pods",
        "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": str(kubeconfig)}],
        "relabel_configs": [
            _keep(f"{ANNOTATION}scrape", "true"),
            _keep("__meta_kubernetes_pod_ip", POD_ADDRESSES),
            _copy(f"{ANNOTATION}path", "__metrics_path__"),
            {
                "source_labels": ["__meta_kubernetes_pod_ip", f"{ANNOTATION}port"],
                "separator": ":",
                "regex": "(.+:.+)",
                "target_label": "__address__",
            },
            _copy("__meta_kubernetes_namespace", "namespace"),
            _copy("__meta_kubernetes_pod_label_scoring_dev_model", "scoring_model"),
            _copy("__meta_kubernetes_pod_name", "pod"),
            {"action": "labelmap", "regex": "__meta_kubernetes_pod_label_(.+)"},
        ],
    }
    files = {"job_name": "files", "file_sd_configs": [{"files": [f"{folder}/targets/*.json"]}]}
    times = {"scrape_interval": SCRAPE_INTERVAL, "evaluation_interval": SCRAPE_INTERVAL}
    return {"global": times, "rule_files": [str(RULES)], "scrape_configs": [pods, files]}


def _keep(label: str, regex: str) -> dict[str, Any]:
    return {"action": "keep", "source_labels": [label], "regex": regex}


def _copy(label: str, target: str) -> dict[str, Any]:
    return {"source_labels": [label], "regex": "(.+)", "target_label": target}
