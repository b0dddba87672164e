"""Problems of a model that are not in the model itself: what the API server, the cluster or the operator keep from it."""

from scoring_operator.api import HardwareClass
from scoring_operator.errors import ClusterError, ModelProblem, Rejected
from scoring_operator.kinds import Kind

REJECTED = "Rejected"
APPLY_FAILED = "ApplyFailed"
KIND_MISSING = "KindMissing"
OPERATOR_FAILED = "OperatorFailed"


def describe_failure(error: ClusterError) -> ModelProblem:
    """Return the problem of a model whose children the API server does not accept now."""
    if isinstance(error, Rejected):
        return ModelProblem(REJECTED, f"The API server refuses what this model needs: {error}", stalled=False)
    return ModelProblem(
        APPLY_FAILED, f"The API server did not take what this model needs; it is tried again: {error}", stalled=False
    )


def describe_fault(error: Exception) -> ModelProblem:
    """Return the problem of a model that the operator itself fails on."""
    message = f"The operator fails on this model ({type(error).__name__}), and tries again, each time later: its log says why."
    return ModelProblem(OPERATOR_FAILED, message, stalled=False)


def describe_missing_kind(kind: Kind, hardware: HardwareClass) -> ModelProblem:
    """Return the problem of a model whose class needs a kind that the cluster does not serve."""
    message = (
        f"HardwareClass {hardware.name} asks for devices by resourceClaim, and this cluster serves no {kind.name} ({kind.api_version}): "
        "use accelerator in the class, or a Kubernetes with Dynamic Resource Allocation."
    )
    return ModelProblem(KIND_MISSING, message)
