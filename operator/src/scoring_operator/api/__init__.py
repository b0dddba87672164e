"""The API: frozen models of ScoringModel and HardwareClass (scoring.dev/v1beta1).

The CRDs in crds/ are generated from these (see `crds`): a field, its default, its limits and its text for `kubectl explain` stand here
and only here.
"""

from scoring_operator.api.autoscaling import Autoscaling
from scoring_operator.api.base import API_VERSION, GROUP, VERSION, Manifest, Resources, cel, describe_fields, shorten
from scoring_operator.api.hardware_class import HardwareClass, HardwareClassSpec, HardwareClassStatus
from scoring_operator.api.metric import Metric
from scoring_operator.api.model_source import ModelSource
from scoring_operator.api.network import Network, Peer
from scoring_operator.api.route import Gateway, Issuer, Tls
from scoring_operator.api.scoring_model import UNSEEN_GENERATION, ScoringModel, ScoringModelSpec, ScoringModelStatus

__all__ = [
    "API_VERSION",
    "GROUP",
    "UNSEEN_GENERATION",
    "VERSION",
    "Autoscaling",
    "Gateway",
    "HardwareClass",
    "HardwareClassSpec",
    "HardwareClassStatus",
    "Issuer",
    "Manifest",
    "Metric",
    "ModelSource",
    "Network",
    "Peer",
    "Resources",
    "ScoringModel",
    "ScoringModelSpec",
    "ScoringModelStatus",
    "Tls",
    "cel",
    "describe_fields",
    "shorten",
]
