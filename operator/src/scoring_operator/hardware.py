"""Chooses the HardwareClass of a ScoringModel."""

from collections.abc import Sequence

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.errors import ModelProblem

NOT_FOUND = "HardwareClassNotFound"
AMBIGUOUS = "HardwareClassAmbiguous"


def choose_hardware(model: ScoringModel, classes: Sequence[Manifest]) -> HardwareClass:
    """Return the class that the model names, else the one marked as default.

    Raises ModelProblem HardwareClassNotFound or HardwareClassAmbiguous, naming the classes there are.
    """
    wished = model.spec.hardware_class
    found = [body for body in classes if (is_default(body) if wished is None else body["metadata"]["name"] == wished)]
    if len(found) > 1:
        names = list_names(found)
        raise ModelProblem(
            AMBIGUOUS, f"More than one HardwareClass is marked as default ({names}): name one in spec.hardwareClass."
        )
    if not found:
        raise ModelProblem(NOT_FOUND, describe_missing(wished, list_names(classes)))
    return HardwareClass.parse(found[0])


def is_default(body: Manifest) -> bool:
    """Tell whether a class is marked as default; one whose spec is malformed must not stand in the way of the others."""
    spec = body.get("spec")
    return isinstance(spec, dict) and spec.get("default") is True


def describe_missing(wished: str | None, names: str) -> str:
    """Return the sentence about a class that is not there."""
    available = f"there are: {names}" if names else "there is none yet"
    if wished is None:
        return f"No HardwareClass is marked as default: name one in spec.hardwareClass, or set spec.default of one; {available}."
    return f"HardwareClass {wished} does not exist; {available}. Create it, or change spec.hardwareClass."


def list_names(classes: Sequence[Manifest]) -> str:
    """Return the names of the classes in order, for a message."""
    return ", ".join(sorted(body["metadata"]["name"] for body in classes))
