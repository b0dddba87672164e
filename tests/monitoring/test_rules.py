"""The rules and the metrics, as promtool sees them."""

from api_proxy import ApiProxy
from local_clusters import ROOT
from operator_processes import OperatorProcess
from prometheus_servers import RULES, Promtool, Serve, read_metrics

UNIT_TESTS = ROOT / "tests" / "monitoring" / "rules.yaml"


def test_rules_are_valid(promtool: Promtool) -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_when_it_should_and_not_before(promtool: Promtool) -> None:
    done = promtool("test", "rules", str(UNIT_TESTS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_metrics_of_the_operator_follow_the_conventions(
    promtool: Promtool, proxied: tuple[ApiProxy, OperatorProcess]
) -> None:
    _, operator = proxied
    done = promtool("check", "metrics", stdin=read_metrics(operator.metrics_port))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_metrics_of_the_runtime_follow_the_conventions(promtool: Promtool, serve: Serve) -> None:
    runtime = serve("table", latency_objective_seconds="0.5")
    runtime.client.post("/score", json={"input": [[1, 2, 3, 4]]})
    done = promtool("check", "metrics", stdin=read_metrics(runtime.port))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
