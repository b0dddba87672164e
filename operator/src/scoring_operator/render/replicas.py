"""What the number of replicas means for the other children."""

from scoring_operator.api import ScoringModel


def may_have_several(model: ScoringModel) -> bool:
    """Tell whether the model may have more than one replica by its own specification."""
    autoscaling = model.spec.autoscaling
    return (model.spec.replicas if autoscaling is None else autoscaling.max_replicas) > 1
