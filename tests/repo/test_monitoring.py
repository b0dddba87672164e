"""Metrics, alerts and their documents name the same."""

import re
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from helm_chart import Manifest, Render
from local_clusters import ROOT
from scoring_operator.census import Census
from scoring_operator.metrics import Metrics as OperatorMetrics
from scoring_operator.store import Store
from scoring_operator.work_queue import WorkQueue
from scoring_runtime.batching import Batcher
from scoring_runtime.telemetry.metrics import Metrics as RuntimeMetrics

RULES = ROOT / "charts" / "scoring-operator" / "rules" / "scoring.yaml"
UNIT_TESTS = ROOT / "tests" / "monitoring" / "rules.yaml"
PROVOKED = ROOT / "tests" / "monitoring" / "test_alerts.py"
DOCUMENTED = re.compile(r"^\| `(scoring_\w+)", re.MULTILINE)
TIME_SERIES = re.compile(r"scoring_\w+")


def read_groups() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return groups


ALERTS = {rule["alert"]: rule for group in read_groups() for rule in group["rules"] if "alert" in rule}


async def process(_key: object) -> None:
    """Do nothing with a key."""


def list_metrics(registry: CollectorRegistry) -> dict[str, str]:
    """Return the type of each metric by the name that its samples have, without what histograms add to it."""
    suffixes = {"counter": "_total", "info": "_info"}
    return {
        family.name + suffixes.get(family.type, ""): family.type
        for family in registry.collect()
        if family.name.startswith("scoring_")
    }


@pytest.fixture(scope="module")
def metrics() -> dict[str, str]:
    """Return the types of all metrics of both programs by name."""
    operator = OperatorMetrics()
    census = Census(Store())
    census.queue = WorkQueue(process, expected=OSError)
    operator.registry.register(census)
    return list_metrics(operator.registry) | list_metrics(RuntimeMetrics(Batcher(1), 1.0).registry)


def test_every_metric_is_documented_and_no_other(metrics: dict[str, str]) -> None:
    documented = DOCUMENTED.findall((ROOT / "docs" / "metrics.md").read_text())
    assert sorted(documented) == sorted(metrics)


def test_rules_ask_for_metrics_that_there_are(metrics: dict[str, str]) -> None:
    recorded = {rule["record"].split(":")[1] for group in read_groups() for rule in group["rules"] if "record" in rule}
    samples = {name + suffix for name in metrics for suffix in ("", "_bucket", "_count", "_sum")}
    expressions = " ".join(rule["expr"] for group in read_groups() for rule in group["rules"])
    named = set(TIME_SERIES.findall(re.sub(r"namespace_scoring_model:\S+|scoring_model", "", expressions)))
    assert recorded
    assert named - samples == set()


@pytest.mark.parametrize("name", ALERTS)
def test_alert_leads_to_its_section(name: str) -> None:
    rule = ALERTS[name]
    assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{name.lower()}"
    assert f"\n### {name}\n" in (ROOT / "docs" / "alerts.md").read_text()
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}


@pytest.mark.parametrize("name", ALERTS)
def test_alert_is_tested_by_promtool_and_provoked(name: str) -> None:
    tested = [test for one in yaml.safe_load(UNIT_TESTS.read_text())["tests"] for test in one["alert_rule_test"]]
    expectations = [bool(test["exp_alerts"]) for test in tested if test["alertname"] == name]
    assert set(expectations) == {True, False}
    assert f'"{name}"' in PROVOKED.read_text()


def test_chart_makes_the_rules_only_where_wished(render: Render, manifests: list[Manifest]) -> None:
    assert not [body for body in manifests if body["kind"] in {"PrometheusRule", "PodMonitor"}]
    wished = render("--set", "alerts.enabled=true,alerts.labels.release=prometheus")
    (rule,) = [body for body in wished if body["kind"] == "PrometheusRule"]
    assert rule["spec"]["groups"] == read_groups()
    assert rule["metadata"]["labels"]["release"] == "prometheus"


def test_runbooks_lead_to_where_they_are_read(render: Render) -> None:
    manifests = render("--set", "alerts.enabled=true,alerts.runbookBase=https://docs.example.com/scoring/")
    (rule,) = [body for body in manifests if body["kind"] == "PrometheusRule"]
    urls = [
        one["annotations"]["runbook_url"]
        for group in rule["spec"]["groups"]
        for one in group["rules"]
        if "alert" in one
    ]
    assert urls
    assert all(url.startswith("https://docs.example.com/scoring/docs/alerts.md#") for url in urls)


def test_operator_is_scraped_at_its_metrics_port(render: Render) -> None:
    manifests = render("--set", "metrics.port=9100,metrics.podMonitor.enabled=true")
    (deployment,) = [body for body in manifests if body["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    ports = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
    assert ports["metrics"] == 9100
    assert template["metadata"]["annotations"] == {"prometheus.io/scrape": "true", "prometheus.io/port": "9100"}
    (monitor,) = [body for body in manifests if body["kind"] == "PodMonitor"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] == "metrics"


def test_an_administrators_annotations_win(render: Render) -> None:
    manifests = render("--set-json", 'podAnnotations={"prometheus.io/scrape": "false"}')
    (deployment,) = [body for body in manifests if body["kind"] == "Deployment"]
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"prometheus.io/scrape": "false", "prometheus.io/port": "8081"}


def test_operator_without_metrics_is_not_scraped(render: Render) -> None:
    manifests = render("--set", "metrics.port=0")
    (deployment,) = [body for body in manifests if body["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    assert "annotations" not in template["metadata"]
    assert [port["name"] for port in template["spec"]["containers"][0]["ports"]] == ["health"]
