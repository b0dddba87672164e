"""What the chart makes and what readers copy, held against the schemas of every kind by kubeconform, which takes no unknown field."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from helm_chart import render_everything
from local_clusters import ROOT, run_local_cluster
from manifest_schemas import write_schemas

Kubeconform = Callable[..., str]

VALUES = [
    (),
    ("--set", "namespaces={team-a,team-b},replicas=1,rbac.aggregate=false,crds.upgrade=false"),
    (
        *("--set", "networkPolicy.enabled=true,networkPolicy.apiServer.cidrs={10.0.0.1/32}"),
        *(
            "--set",
            "fullnameOverride=scoring,commonLabels.team=ml,deploymentAnnotations.a=b,podLabels.a=b,podAnnotations.a=b",
        ),
        *(
            "--set",
            "extraEnv[0].name=A,extraEnv[0].value=b,nodeSelector.disk=ssd,priorityClassName=system-cluster-critical",
        ),
        *("--set-json", 'networkPolicy.ingressFrom=[{"namespaceSelector":{}}]'),
        *("--set-json", 'networkPolicy.extraEgress=[{"ports":[{"port":53,"protocol":"UDP"}]}]'),
        *(
            "--set-json",
            'topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"a","whenUnsatisfiable":"DoNotSchedule"}]',
        ),
    ),
]


@pytest.fixture(scope="session")
def kubeconform(tmp_path_factory: pytest.TempPathFactory) -> Kubeconform:
    """Return a function that validates a text and returns what is wrong with it; empty for nothing."""
    options = write_schemas(tmp_path_factory.mktemp("schemas"))
    program = run_local_cluster("program", "kubeconform")

    def validate(text: str) -> str:
        done = subprocess.run(
            [program, *options, "-"], input=text, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout + done.stderr

    return validate


@pytest.mark.parametrize("values", VALUES, ids=["defaults", "namespaces", "everything"])
def test_chart_makes_what_the_schemas_allow(kubeconform: Kubeconform, values: tuple[str, ...]) -> None:
    assert kubeconform(yaml.safe_dump_all(render_everything(*values))) == ""


@pytest.mark.parametrize("path", sorted(ROOT.glob("samples/**/scoringmodel*.yaml")), ids=lambda path: path.name)
def test_sample_is_what_the_schemas_allow(kubeconform: Kubeconform, path: Path) -> None:
    assert kubeconform(path.read_text()) == ""


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("apiVersion: v1\nkind: Service\nmetadata: {name: a}", "spec: {port: 80}"),
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}", "spec: {replicas: two}"),
        ("apiVersion: scoring.dev/v1beta1\nkind: ScoringModel\nmetadata: {name: a}", "spec: {model: {url: file:///a}}"),
        ("apiVersion: nobody.dev/v1\nkind: Nothing\nmetadata: {name: a}", ""),
    ],
)
def test_what_is_wrong_is_found(kubeconform: Kubeconform, kind: str, wrong: str) -> None:
    assert kubeconform(f"{kind}\n{wrong}\n") != ""
