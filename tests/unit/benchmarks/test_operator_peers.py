"""KServe is set up like ours, its requests are told from those of others, and the table compares the two."""

import json
from collections import Counter
from typing import Any

from benchmarks.operator.counting import Counters, count_own
from benchmarks.operator.kserve import KSERVE, RUNTIME, build_configuration, build_runtime, build_service
from benchmarks.operator.ours import CLASS, OURS, build_model
from benchmarks.operator.peer_tables import render_peers

PUBLISHED = {
    "metadata": {"name": "inferenceservice-config", "namespace": "kserve"},
    "data": {
        "_example": "a long text",
        "deploy": '{"defaultDeploymentMode": "Serverless"}',
        "ingress": '{"ingressGateway": "a/b", "disableIngressCreation": false}',
        "batcher": "{}",
    },
}


def make_counters(requests: dict[tuple[str, str, str], int], events: int = 0) -> Counters:
    return Counters(cpu_seconds={}, requests=Counter(requests), events=events)


def test_kserve_is_configured_as_published_but_for_plain_deployments_without_ingress() -> None:
    found = build_configuration(PUBLISHED)
    assert found["metadata"] == PUBLISHED["metadata"]
    data = {name: json.loads(text) for name, text in found["data"].items()}
    assert data["deploy"] == {"defaultDeploymentMode": "Standard"}
    assert data["ingress"] == {
        "ingressGateway": "a/b",
        "disableIngressCreation": True,
        "disableIstioVirtualHost": True,
    }
    assert data["batcher"] == {}
    assert set(data) == {"deploy", "ingress", "batcher"}


def test_both_models_ask_for_the_same() -> None:
    ours, predictor = build_model("a")["spec"], build_service("a")["spec"]["predictor"]
    # KServe's init container comes from a webhook, which does not run here; ours would be one for an https:// artifact.
    assert predictor["model"]["storageUri"].endswith("/a.tar")
    assert ours["model"]["uri"] == "file:///models/a.tar"
    assert predictor["model"]["runtime"] == RUNTIME == build_runtime()["metadata"]["name"]
    assert predictor["model"]["resources"] == CLASS["spec"]["resources"]
    autoscaling = ours["autoscaling"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 3)
    assert (autoscaling["minReplicas"], autoscaling["maxReplicas"]) == (1, 3)
    assert autoscaling["metrics"] == [{"type": predictor["scaleMetric"], "target": predictor["scaleTarget"]}]


def test_requests_of_others_are_not_counted_as_an_operators_own() -> None:
    before = make_counters({("deployments", "", "POST"): 5}, events=2)
    after = make_counters(
        {
            ("deployments", "", "POST"): 6,
            ("deployments", "", "PUT?dry"): 2,
            ("deployments", "status", "PUT"): 9,  # Kubernetes' own controller.
            ("deployments", "", "DELETE"): 1,  # The benchmark.
            ("inferenceservices", "", "POST"): 1,  # The benchmark.
            ("inferenceservices", "status", "PUT"): 3,
            ("inferenceservices", "", "GET"): 4,  # The garbage collector.
            ("configmaps", "", "GET"): 7,
        },
        events=3,
    )
    assert count_own(KSERVE.own, before, after) == {"writes": 4, "dry_runs": 2, "events": 1, "reads": 7, "lists": 0}
    assert count_own(OURS.own, before, after) == {"writes": 0, "dry_runs": 0, "events": 1, "reads": 0, "lists": 0}


def test_table_has_floor_and_both_operators_with_the_ratio_of_those() -> None:
    def make_round(floor: float, kserve: float, ours: float) -> dict[str, Any]:
        return {
            "floor": {"ready_seconds": floor},
            "kserve": {"ready_seconds": kserve, "per_model": {"dry_runs": 2}},
            "ours": {"ready_seconds": ours, "per_model": {"dry_runs": 0}},
        }

    rounds = [make_round(2.0, 9.0, 3.0), make_round(1.0, 8.0, 2.5), make_round(4.0, 20.0, 3.5)]
    result = {
        "models": 1000,
        "rounds": rounds,
        "kserve": {"restart": {"reacted_seconds": 1.0}},
        "ours": {"restart": {"reacted_seconds": 2.0}},
    }
    _, heading, table = render_peers([result])
    assert heading == "## Models: 1,000"
    assert "| all Ready, s | 2 | 9 | 3 | 3.0 |" in table
    assert "| dry runs per model | – | 2 | 0 | – |" in table
    assert "| restart: reacts, s | – | 1 | 2 | 0.5 |" in table
    assert "| restart: settled, s | – | – | – | – |" in table
