"""The ServiceMonitor: the Prometheus operator's way to say what is scraped."""

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.kinds import MODEL_LABEL, SERVICE_MONITOR
from scoring_operator.render.metadata import render_object, render_selector
from scoring_operator.settings import Settings

MODEL_TARGET_LABEL = "scoring_model"
"""Label of the scraped series with the model's name; the namespace is in `namespace`."""


def render_service_monitor(model: ScoringModel, settings: Settings) -> Manifest | None:
    """Return the monitor of the model's Service; None when the operator is set not to make any."""
    if not settings.service_monitors:
        return None
    labels = MODEL_LABEL.replace(".", "_").replace("/", "_")
    relabel = {"sourceLabels": [f"__meta_kubernetes_service_label_{labels}"], "targetLabel": MODEL_TARGET_LABEL}
    endpoint = {
        "port": "http",
        "path": "/metrics",
        "interval": "15s",
        "relabelings": [{**relabel, "action": "replace"}],
    }
    body = render_object(
        SERVICE_MONITOR, model, {"selector": {"matchLabels": render_selector(model)}, "endpoints": [endpoint]}
    )
    body["metadata"]["labels"] = {**body["metadata"]["labels"], **settings.service_monitor_labels}
    return body
