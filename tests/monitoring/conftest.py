"""A real Prometheus and promtool, a real API server with KWOK's fake nodes, and operator and runtimes as processes of this machine.

`local_cluster` gives the cluster, named `monitoring`; SCORING_TEST_KUBECONFIG names another one instead.
"""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from api_proxy import ApiProxy
from kubectl import Kubectl
from local_clusters import ROOT, run_local_cluster
from operator_clusters import make_roles, open_proxy, prepare_cluster
from operator_processes import OperatorProcess
from prometheus_servers import RULES, Prometheus, Promtool, Serve, shorten_times
from runtime_processes import Runtime
from scoring_models import ScoringModels, open_namespace
from scoring_runtime.artifacts.digests import compute_digest
from tensor_models import TABLE_EXAMPLE, write_artifact

NAMESPACE = "team"


@pytest.fixture(scope="session")
def promtool() -> Promtool:
    """Return a function that runs promtool to its end, whatever that is."""
    program = run_local_cluster("program", "promtool")

    def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Return kubectl for the cluster, with our CRDs, two hardware classes, a fake node and the chart's roles in it."""
    kubectl = prepare_cluster("monitoring", ROOT / "tests" / "integration" / "cluster.yaml")
    make_roles(kubectl)
    return kubectl


@pytest.fixture(scope="session")
def proxied(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiProxy, OperatorProcess]]:
    """Yield a running operator with the rights of the chart, and the proxy through which it talks to the API server."""
    with open_proxy(kubectl, tmp_path_factory.mktemp("operator")) as (proxy, operator):
        operator.start()
        yield proxy, operator


@pytest.fixture(scope="session")
def prometheus(
    proxied: tuple[ApiProxy, OperatorProcess], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Yield a Prometheus that scrapes the operator, and whose alerts wait for two seconds."""
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), shorten_times(RULES.read_text()))
    _, operator = proxied
    with server.run(), server.scrape(operator.metrics_port, namespace="scoring-system", job="operator"):
        yield server


@pytest.fixture
def models(kubectl: Kubectl, prometheus: Prometheus) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace of the test's own, with the operator running and scraped."""
    del prometheus
    with open_namespace(kubectl, "monitoring") as models:
        yield models


@pytest.fixture
def serve(tmp_path: Path, prometheus: Prometheus) -> Iterator[Serve]:
    """Return a function that serves a small table model as a process, scraped as one of the namespace `team`; settings as keywords."""
    with ExitStack() as stack:

        def start(name: str, model: str = "Table", **settings: str) -> Runtime:
            folder = tmp_path / name
            write_artifact(folder, model, example=TABLE_EXAMPLE)
            environment = {
                "PYTHONPATH": f"{ROOT / 'tests' / 'support'}",
                "SCORING_MODEL_NAME": name,
                "SCORING_MODEL_URI": folder.as_uri(),
                "SCORING_MODEL_DIGEST": compute_digest(folder),
                "SCORING_WORK_DIR": str(tmp_path / f"{name}-work"),
                "SCORING_TERMINATION_LOG": str(tmp_path / f"{name}-end"),
                "SCORING_DRAIN_SECONDS": "0",
                **{f"SCORING_{field.upper()}": value for field, value in settings.items()},
            }
            runtime = Runtime(environment)
            stack.callback(runtime.end)
            runtime.wait_for_log("ready")
            runtime.wait_for_server()
            runtime.follow_log()
            stack.enter_context(
                prometheus.scrape(runtime.port, namespace=NAMESPACE, scoring_model=name, pod=f"{name}-0")
            )
            return runtime

        yield start
