"""What was measured of the operator becomes one table, and plots over the number of models."""

from typing import Any

from benchmarks.operator.api_server import AUTOSCALERS, DEPLOYMENTS, find_path
from benchmarks.operator.load import name_models, render_orphans
from benchmarks.operator.models import find_percentile
from benchmarks.operator.observations import is_ready
from benchmarks.operator.ours import MODELS
from benchmarks.operator.tables import draw_times, render_tables
from scoring_operator.settings import Settings


def make_result(models: int, floor: dict[str, Any] | None) -> dict[str, Any]:
    cpu = {"all": 150.0, "kube-apiserver": 80.0, "operator": 10.0}
    rounds = [
        {
            "floor": floor or {},
            "ours": {"children_seconds": seconds, "ready_seconds": seconds + 1, "cpu_ms_per_model": cpu},
        }
        for seconds in (12.0, 11.0, 19.0)
    ]
    return {"models": models, "rounds": rounds, "ours": {}}


FLOOR = {"children_seconds": 10.0, "ready_seconds": 10.0, "cpu_ms_per_model": {"all": 100.0, "kube-apiserver": 60.0}}


def test_table_compares_with_the_floor_where_there_is_one() -> None:
    _, table = render_tables([make_result(100, FLOOR), make_result(5000, None)])
    assert table.splitlines()[0] == "|  | 100 | 5,000 |"
    assert "| all children, s: ours / floor (ratio) | 12 / 10 (1.20) | 12 |" in table
    assert "| API server CPU, ms per model: ours / floor | 80 / 60 | 80 / – |" in table


def test_what_was_not_measured_is_a_dash() -> None:
    _, table = render_tables([make_result(100, FLOOR)])
    assert "| class edited: all Deployments follow / all Ready, s | – |" in table


def test_floor_is_drawn_where_it_was_measured() -> None:
    curves = {
        curve["label"]: curve for curve in draw_times([make_result(100, FLOOR), make_result(5000, None)])["curves"]
    }
    assert curves["floor: all ready"]["load"] == [100]
    assert curves["operator: all ready"]["load"] == [100, 5000]


def test_floor_makes_what_the_operator_would_without_its_owner() -> None:
    children = {
        kind.name: body for kind, body in render_orphans("model-1", Settings(runtime_images={"sklearn": "any"}))
    }
    assert set(children) == {"Deployment", "Service", "HorizontalPodAutoscaler"}
    assert not any("ownerReferences" in body["metadata"] for body in children.values())


def test_object_is_ready_by_its_own_kinds_rule() -> None:
    assert is_ready(DEPLOYMENTS, {"status": {"readyReplicas": 1}})
    assert not is_ready(DEPLOYMENTS, {"status": {}})
    assert is_ready(MODELS, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert not is_ready(MODELS, {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})
    assert is_ready(AUTOSCALERS, {})


def test_paths_and_names() -> None:
    assert find_path(DEPLOYMENTS) == "/apis/apps/v1/deployments"
    assert find_path(DEPLOYMENTS, "a", "b") == "/apis/apps/v1/namespaces/a/deployments/b"
    assert name_models(2, first=9) == ["model-00009", "model-00010"]


def test_percentile_of_one_value_is_that_value() -> None:
    assert find_percentile([3.0], 99) == 3.0
    assert find_percentile([1.0, 2.0, 3.0], 50) == 2.0
