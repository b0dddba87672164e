"""On which nodes a model's pods run, and how: what the hardware class says about it."""

from scoring_operator.api import HardwareClassSpec, Manifest, ScoringModel
from scoring_operator.render.metadata import render_selector

DEFAULT_SPREAD = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
"""Labels of nodes over which replicas are spread as far as that goes, when the class says nothing."""


def render_placement(model: ScoringModel, hardware: HardwareClassSpec) -> Manifest:
    """Return the pod's fields that decide on which nodes it runs and how; only those that the class names."""
    tolerations = [toleration.model_dump(by_alias=True, exclude_none=True) for toleration in hardware.tolerations]
    affinity = hardware.affinity.model_dump(by_alias=True, exclude_none=True) if hardware.affinity else None
    placement = {
        "nodeSelector": dict(hardware.node_selector or {}),
        "affinity": affinity,
        "tolerations": tolerations,
        "topologySpreadConstraints": render_spread(model, hardware),
        "runtimeClassName": hardware.runtime_class_name,
        "priorityClassName": hardware.priority_class_name,
    }
    return {name: value for name, value in placement.items() if value}


def render_spread(model: ScoringModel, hardware: HardwareClassSpec) -> list[Manifest]:
    """Return how the replicas are spread, each generation of pods by itself.

    It does not depend on their number: a pod that changes with the number would be started anew by scaling.
    """
    if hardware.topology_spread is None:
        rules = [{"topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"} for key in DEFAULT_SPREAD]
    else:
        rules = [rule.model_dump(by_alias=True) for rule in hardware.topology_spread]
    pods = {"labelSelector": {"matchLabels": render_selector(model)}, "matchLabelKeys": ["pod-template-hash"]}
    return [{**rule, **pods} for rule in rules]
