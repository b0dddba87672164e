"""`scoring render`: the operator's own rendering, without a cluster."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import Outcome, run_scoring
from local_clusters import ROOT
from scoring_cli.rendering import make_class, read_chart_defaults
from scoring_operator.api import HardwareClass, ScoringModel
from scoring_operator.kinds import DEPLOYMENT, HASH_ANNOTATION
from scoring_operator.render import render_children
from scoring_operator.settings import Settings

UID = "00000000-0000-0000-0000-000000000001"
IMAGES = {"sklearn": "registry.example.com/sklearn:1"}
CPU = make_class({"name": "cpu", "spec": {"default": True, "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}})


def build_model(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "scoring.dev/v1beta1",
        "kind": "ScoringModel",
        "metadata": {"name": "faq", "namespace": "shop"},
        "spec": {"model": {"uri": "pvc://models/faq.tar", "format": "sklearn"}, **spec},
    }


def build_operator(**variables: str) -> dict[str, Any]:
    """Return a Deployment as the chart makes the operator's, as far as it is read."""
    variables = {"RUNTIME_IMAGES": json.dumps(IMAGES), **variables}
    env: list[dict[str, Any]] = [
        {"name": f"SCORING_OPERATOR_{name}", "value": value} for name, value in variables.items()
    ]
    env.append({"name": "SCORING_OPERATOR_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}})
    containers = [{"name": "operator", "env": env}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "scoring-operator"},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


def render(*bodies: dict[str, Any], folder: Path, operator: list[dict[str, Any]] | None = None) -> Outcome:
    options: list[object] = []
    if operator is not None:
        (folder / "operator.yaml").write_text(yaml.safe_dump_all(operator))
        options = ["--operator", folder / "operator.yaml"]
    return run_scoring("render", "-", *options, stdin=yaml.safe_dump_all(bodies))


def read_children(outcome: Outcome) -> dict[str, dict[str, Any]]:
    assert outcome.status == 0, outcome.stderr
    return {body["kind"]: body for body in yaml.safe_load_all(outcome.stdout)}


def test_chart_defaults_are_those_of_the_chart() -> None:
    values = yaml.safe_load((ROOT / "charts/scoring-operator/values.yaml").read_text())
    defaults = read_chart_defaults()
    assert defaults["hardwareClasses"] == values["hardwareClasses"]
    changed = {
        name
        for name, field in Settings.model_fields.items()
        if name != "runtime_images"
        and getattr(Settings(runtime_images={}), name) != field.get_default(call_default_factory=True)
    }
    assert changed == set()


def test_children_are_those_of_the_operator_when_the_uid_is_known(tmp_path: Path) -> None:
    body = build_model()
    body["metadata"] |= {"uid": UID, "generation": 1}
    children = read_children(render(body, folder=tmp_path, operator=[build_operator(), CPU]))
    hardware = HardwareClass.parse({**CPU, "metadata": {"name": "cpu", "uid": ""}})
    expected = render_children(ScoringModel.parse(body), hardware, Settings(runtime_images=IMAGES))
    assert children == {one["kind"]: one for one in expected.values() if one is not None}
    assert children[DEPLOYMENT.name]["metadata"]["annotations"][HASH_ANNOTATION]


def test_owner_is_left_out_when_the_uid_is_not_known(tmp_path: Path) -> None:
    outcome = render(build_model(), folder=tmp_path)
    for child in read_children(outcome).values():
        assert "ownerReferences" not in child["metadata"]
        assert child["metadata"]["namespace"] == "shop"
    assert "default values" in outcome.stderr


def test_operators_settings_are_used(tmp_path: Path) -> None:
    operator = build_operator(SERVICE_MONITORS="false", GATEWAY="{}")
    children = read_children(render(build_model(), folder=tmp_path, operator=[operator, CPU]))
    assert "ServiceMonitor" not in children
    assert children["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGES["sklearn"]


def test_hardware_class_beside_the_model_is_used(tmp_path: Path) -> None:
    tiny = make_class({"name": "tiny", "spec": {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}})
    children = read_children(render(tiny, build_model(hardwareClass="tiny"), folder=tmp_path))
    container = children["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"hardwareClass": "tpu"}, "there are: cpu, gpu"),
        ({"replicas": -1}, "spec.replicas"),
        ({"model": {"uri": "nowhere"}}, "spec.model.uri"),
    ],
)
def test_model_that_would_not_work_says_why(tmp_path: Path, spec: dict[str, Any], said: str) -> None:
    outcome = render(build_model(**spec), folder=tmp_path)
    assert outcome.status == 2
    assert said in outcome.stderr
    assert outcome.stdout == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no ScoringModel"),
        ("a: [", "no YAML"),
        ("just text", "no Kubernetes object"),
        ("kind: ScoringModel", "metadata.name"),
    ],
)
def test_file_that_holds_no_model_is_told(text: str, said: str) -> None:
    outcome = run_scoring("render", "-", stdin=text)
    assert outcome.status == 2
    assert said in outcome.stderr


def test_wrong_setting_of_the_operator_is_named(tmp_path: Path) -> None:
    outcome = render(build_model(), folder=tmp_path, operator=[build_operator(WORKERS="none")])
    assert outcome.status == 2
    assert "workers" in outcome.stderr


@pytest.mark.parametrize(
    "rest",
    [
        {},
        {"spec": None},
        {"spec": {"template": {"spec": {"containers": ["operator"]}}}},
        {"spec": {"template": {"spec": {"containers": [{"env": [{"value": "nameless"}]}]}}}},
    ],
)
def test_deployment_of_the_operator_that_is_not_whole_is_told(tmp_path: Path, rest: dict[str, Any]) -> None:
    head = {name: value for name, value in build_operator().items() if name != "spec"}
    outcome = render(build_model(), folder=tmp_path, operator=[{**head, **rest}])
    assert outcome.status == 2
    assert "--operator: Deployment scoring-operator" in outcome.stderr


@pytest.mark.parametrize("content", [b"\xff\xfe", "größe: 1".encode("latin-1")])
def test_standard_input_that_is_no_utf_8_is_told(content: bytes) -> None:
    outcome = run_scoring("render", "-", stdin=content)
    assert outcome.status == 2
    assert "standard input cannot be read" in outcome.stderr
