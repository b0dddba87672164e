"""What can be measured: an operator, its models and children, and which requests are its own. Between `clusters` and `load`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.operator.api_server import Manifest
from benchmarks.operator.clusters import FreshCluster
from benchmarks.operator.counting import OwnRequests
from benchmarks.operator.processes import Operator

EDITED = "EDITED"
"""An environment variable that models are given when they are edited."""


@dataclass(frozen=True)
class Contender:
    """An operator that can be measured."""

    name: str
    models: str
    """The kind of its models, as `api_server` writes kinds."""
    suffix: str
    """What the names of a model's children have after the model's own."""
    own: OwnRequests
    install: Callable[[FreshCluster], Awaitable[None]]
    """Gives a fresh cluster what the operator must find there."""
    build_operator: Callable[[FreshCluster, Path], Operator]
    """Returns the operator, not started yet, with a file for its log."""
    build_model: Callable[[str], Manifest]
    """Returns an ordinary model with autoscaling, and thus with a Deployment, a Service and an autoscaler."""
    has_told: Callable[[Manifest], bool]
    """Tells whether a model has said the last that there is to say, some time after it was made."""
    build_edit: Callable[[str], Manifest]
    """Returns a merge patch that gives a model the variable EDITED with that value."""
