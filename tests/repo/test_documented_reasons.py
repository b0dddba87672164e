"""Every reason of the status, and every error of an endpoint, is documented with its remedy; and whatever is documented exists."""

import ast
import re
from collections.abc import Iterator
from typing import TypeVar

import pytest

from local_clusters import ROOT
from scoring_operator.routing import ROUTE_READY
from scoring_operator.status import SCALING_INACTIVE
from scoring_runtime.errors import LoadError, RequestError, ScoringRuntimeError
from scoring_runtime.protocols import find_status

Error = TypeVar("Error", bound=ScoringRuntimeError)

DOCS = ROOT / "docs"
SOURCES = sorted((ROOT / "operator" / "src" / "scoring_operator").rglob("*.py"))

REASON = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]*)*")
ROW = re.compile(r"^\| `([A-Z][A-Za-z]+)` \|", re.MULTILINE)
CONDITIONS = {"Ready", "Reconciling", "Stalled", SCALING_INACTIVE, ROUTE_READY}
NOT_REASONS = CONDITIONS | {
    "NewReplicaSetAvailable", "DeploymentPaused", "ScalingDisabled", "TooManyReplicas",  # what Kubernetes' own conditions say
    "AtMaximumReplicas", "RouteNotReady",  # states of models in the operator's metrics
}  # fmt: skip
FROM_PATHS = {"NotFound": 404, "MethodNotAllowed": 405}
"""Errors that are no exception: of paths that do not exist, or take another method."""


def find_constants(tree: ast.Module) -> dict[str, str]:
    """Return the texts that a module gives a name in capitals."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.isupper()
    }


def find_literals(tree: ast.Module) -> Iterator[str]:
    """Yield the reasons that a module gives a ModelProblem as they are."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        is_problem = isinstance(call.func, ast.Name) and call.func.id == "ModelProblem"
        if is_problem and call.args and isinstance(call.args[0], ast.Constant):
            yield str(call.args[0].value)


def find_operators_reasons() -> set[str]:
    """Return every reason that the operator itself gives."""
    trees = [ast.parse(path.read_text()) for path in SOURCES]
    constants = {value for tree in trees for value in find_constants(tree).values() if REASON.fullmatch(value)}
    return (constants - NOT_REASONS).union(*(find_literals(tree) for tree in trees))


def find_errors(base: type[Error]) -> list[type[Error]]:
    """Return all errors of the runtime below a base, by code and name: in each process the same order."""
    found = set(base.__subclasses__())
    for error in list(found):
        found |= set(find_errors(error))
    return sorted(found, key=lambda error: (error.code, error.__name__))


def read_rows(name: str) -> set[str]:
    """Return the reasons that stand first in a row of a page's tables."""
    return set(ROW.findall((DOCS / name).read_text())) - NOT_REASONS


def test_reasons_of_operator_and_runtime_are_those_documented() -> None:
    ended = {error.code for error in find_errors(LoadError)}
    assert read_rows("status.md") | read_rows("autoscaling.md") == find_operators_reasons() | ended


def test_types_of_conditions_are_those_documented() -> None:
    conditions = (DOCS / "status.md").read_text().split("\n## ")[1]
    assert set(ROW.findall(conditions)) == CONDITIONS


def test_reasons_of_the_scaling_condition_are_in_its_own_table() -> None:
    reasons = {"AutoscalerRefused", "KedaNotInstalled", "MetricsUnavailable", "ScaledObjectNotReady"}
    assert read_rows("autoscaling.md") == reasons


def test_troubleshooting_leads_from_each_reason_of_a_model_that_is_not_ready() -> None:
    status = (DOCS / "status.md").read_text()
    not_ready = re.split(r"^### ", status, flags=re.MULTILINE)
    wanted = {
        reason
        for section in not_ready
        if section.startswith(("Of the specification", "Of the serving runtime"))
        for reason in ROW.findall(section)
    }
    page = (DOCS / "operations" / "troubleshooting.md").read_text()
    groups = [line for line in page.splitlines() if line.startswith("`") and " · " in line]
    named = [reason for line in groups for reason in re.findall(r"`([A-Za-z]+)`", line)]
    assert sorted(named) == sorted(wanted)


def test_errors_of_an_endpoint_are_those_documented() -> None:
    row = re.compile(r"^\| (\d{3}) \| `([A-Za-z0-9]+)` \| .+ \| .+ \| .+ \| .+ \|$", re.MULTILINE)
    documented = {code: int(status) for status, code in row.findall((DOCS / "errors.md").read_text())}
    # An error need not be told anything for its status.
    raised = {error.code: find_status(error.__new__(error)) for error in find_errors(RequestError)}
    assert documented == raised | FROM_PATHS


@pytest.mark.parametrize("error", find_errors(LoadError))
def test_last_words_of_the_runtime_are_told_in_its_contract(error: type[ScoringRuntimeError]) -> None:
    assert f"`{error.code}`" in (DOCS / "runtime-contract.md").read_text()
