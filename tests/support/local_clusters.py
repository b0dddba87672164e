"""The local cluster's program, as tests use it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from kubectl import Kubectl
from samples.demo.clusters import Cluster

ROOT = Path(__file__).parents[2]


class LocalClusterError(Exception):
    """The local cluster's program ended with an error; its text says why."""


def run_local_cluster(*arguments: str, timeout_seconds: float = 3600.0) -> str:
    """Run `python -m local_cluster` and return what it prints."""
    command = [sys.executable, "-m", "local_cluster", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout_seconds)
    if done.returncode != 0:
        raise LocalClusterError(f"{' '.join(command[1:])} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout.strip()


def open_cluster(name: str, node: str, *addons: str) -> Kubectl:
    """Return kubectl for a local cluster with these add-ons, started if it is not running.

    SCORING_TEST_KUBECONFIG names another cluster instead; then kubectl is the one on the PATH.
    """
    named = os.environ.get("SCORING_TEST_KUBECONFIG")
    if named is not None:
        return Kubectl("kubectl", Path(named))
    wanted = [word for addon in addons for word in ("--with", addon)]
    run_local_cluster("up", "--name", name, "--node", node, *wanted)
    kubeconfig = run_local_cluster("kubeconfig", "--name", name)
    return Kubectl(run_local_cluster("program", "kubectl"), Path(kubeconfig))


def find_prometheus(name: str) -> str:
    """Return host and port of the Prometheus of a local cluster."""
    parts = json.loads(run_local_cluster("status", "--name", name, "--output", "json"))["parts"]
    address: str = next(part["address"] for part in parts if part["name"] == "prometheus")
    return address


def open_kubectl(cluster: Cluster) -> Kubectl:
    """Return kubectl for a cluster of the demo's."""
    if cluster.kubeconfig is None:
        raise RuntimeError("the local cluster has a kubeconfig")
    return Kubectl(cluster.kubectl_program, cluster.kubeconfig)
