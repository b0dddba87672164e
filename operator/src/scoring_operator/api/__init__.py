"""The API: frozen models of ScoringModel and HardwareClass (scoring.dev/v1beta1).

The CRDs in crds/ are generated from these (see `crds`): a field, its default, its limits and its text for `kubectl explain` stand here
and only here.
"""

from scoring_operator.api.base import API_VERSION, GROUP, VERSION, Manifest, Resources, cel, describe_fields
from scoring_operator.api.hardware_class import HardwareClass, HardwareClassSpec
from scoring_operator.api.scoring_model import ModelSource, ScoringModel, ScoringModelSpec, ScoringModelStatus

__all__ = [
    "API_VERSION",
    "GROUP",
    "VERSION",
    "HardwareClass",
    "HardwareClassSpec",
    "Manifest",
    "ModelSource",
    "Resources",
    "ScoringModel",
    "ScoringModelSpec",
    "ScoringModelStatus",
    "cel",
    "describe_fields",
]
