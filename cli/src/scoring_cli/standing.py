"""How a ScoringModel stands, read from its conditions: pure, for `apply`, `status` and what asks a model."""

from dataclasses import asdict, dataclass
from typing import Any

from scoring_cli.documents import Manifest
from scoring_operator.diagnosis import find_condition

WAITING_FOR_OPERATOR = (
    "The operator has not looked at it yet. If that lasts, see that it runs and serves this namespace."
)


@dataclass(frozen=True)
class Standing:
    """The summary of a model's newest generation."""

    namespace: str
    name: str
    ready: str
    """True, False or Unknown, as the condition has it."""

    reason: str
    message: str
    is_stalled: bool
    """Whether time alone will not mend it."""

    replicas: str
    url: str | None
    hardware_class: str | None
    created: str

    @property
    def is_ready(self) -> bool:
        """Tell whether the newest generation is served."""
        return self.ready == "True"

    def render(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def read_standing(model: Manifest) -> Standing:
    """Return how a model stands; what its status says of an older generation does not count."""
    metadata, status = model["metadata"], model.get("status", {})
    is_current = status.get("observedGeneration") == metadata["generation"]
    ready = find_condition(model, "Ready") if is_current else {}
    return Standing(
        namespace=metadata["namespace"],
        name=metadata["name"],
        ready=ready.get("status", "Unknown"),
        reason=ready.get("reason", "Waiting"),
        message=ready.get("message", WAITING_FOR_OPERATOR),
        is_stalled=is_current and bool(find_condition(model, "Stalled")),
        replicas=f"{status.get('readyReplicas', 0)}/{status.get('replicas', 0)}",
        url=status.get("url"),
        hardware_class=status.get("hardwareClass"),
        created=metadata["creationTimestamp"],
    )
