"""Everything the operator raises on purpose; no framework imports.

ScoringOperatorError
├── ModelProblem           a ScoringModel cannot be served as written; becomes its Ready condition
└── ClusterError           the API server refused or could not be reached; the reconcile is tried again
    ├── NotFound           404, or 405: the kind is on its way out
    ├── Conflict           409
    ├── Expired            410: the version that was asked for is too old
    ├── Rejected           400, 403 or 422: what was sent is invalid, or forbidden by a quota or policy; or a webhook has denied it
    └── NotLeading         not sent, since another process may lead
"""

from dataclasses import dataclass


class ScoringOperatorError(Exception):
    """Base of the operator's own errors."""


@dataclass(unsafe_hash=True)
class ModelProblem(ScoringOperatorError):
    """Why a ScoringModel is not ready.

    reason: CamelCase, one of the documented constants of `status` or a code of the runtime's termination message.
    message: one sentence that says what is wrong and what to do.
    stalled: True when time alone will not mend it.
    """

    reason: str
    message: str
    stalled: bool = True

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class ClusterError(ScoringOperatorError):
    """The API server refused a request or did not answer."""


class NotFound(ClusterError):
    """The object, or its kind, does not exist (any more)."""


class Conflict(ClusterError):
    """The object changed in between."""


class Expired(ClusterError):
    """The version from which a list or watch should go on is too old."""


class Rejected(ClusterError):
    """The API server does not accept the object."""


class PartRejected(Rejected):
    """The API server, or who has a say in it, does not accept what a model serves without; all its other children have been applied.

    route, autoscaler: which kind of either was refused, and the words of the refusal; None for what was accepted.
    """

    def __init__(self, route: str | None, autoscaler: str | None) -> None:
        super().__init__("; ".join(refusal for refusal in (route, autoscaler) if refusal))
        self.route = route
        self.autoscaler = autoscaler


class NotLeading(ClusterError):
    """This process may not write (any more): another may lead."""
