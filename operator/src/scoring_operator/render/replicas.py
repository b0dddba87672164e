"""What the number of replicas means for the other children."""

from scoring_operator.api import ScoringModel


def asks_for_several(model: ScoringModel) -> bool:
    """Tell whether the model always has more than one replica by its own specification."""
    autoscaling = model.spec.autoscaling
    return (model.spec.replicas if autoscaling is None else autoscaling.min_replicas) > 1
