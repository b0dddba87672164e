"""The Ingress: the way from a host name to the Service where no Gateway is named."""

from scoring_operator.api import Issuer, Manifest, ScoringModel
from scoring_operator.api.route import CERT_MANAGER, CLASS_ANNOTATION, Routed
from scoring_operator.kinds import INGRESS
from scoring_operator.render.metadata import render_object
from scoring_operator.settings import Settings

ISSUER = f"{CERT_MANAGER}/issuer"
CLUSTER_ISSUER = f"{CERT_MANAGER}/cluster-issuer"


def render_ingress(model: ScoringModel, settings: Settings) -> Manifest | None:
    """Return the Ingress of a model with a host; None when it has none, or an HTTPRoute."""
    endpoint = model.spec.endpoint
    if endpoint.host is None or endpoint.choose_gateway(settings.gateway):
        return None
    backend = {"service": {"name": model.name, "port": {"name": "http"}}}
    path = {"path": endpoint.prefix, "pathType": "Prefix", "backend": backend}
    spec: Manifest = {"rules": [{"host": endpoint.host, "http": {"paths": [path]}}]}
    annotations = merge_annotations(endpoint, settings)
    class_name = endpoint.ingress_class_name or ("" if CLASS_ANNOTATION in annotations else settings.ingress_class_name)
    if class_name:
        spec["ingressClassName"] = class_name
    tls = endpoint.choose_tls(settings.issuer)
    if tls is not None:
        default = f"{model.name}-tls" if tls.issuer else None
        spec["tls"] = [render_tls(endpoint.host, tls.secret_name or default)]
        annotations |= render_issuer(tls.issuer) if tls.issuer else {}
    body = render_object(INGRESS, model, spec)
    if annotations:
        body["metadata"]["annotations"] = annotations
    return body


def merge_annotations(endpoint: Routed, settings: Settings) -> dict[str, str]:
    """Return the operator's annotations and the model's, which win; its class wins over one that the operator's name."""
    defaults = dict(settings.ingress_annotations)
    if endpoint.ingress_class_name:
        defaults.pop(CLASS_ANNOTATION, None)
    return {**defaults, **(endpoint.ingress_annotations or {})}


def render_tls(host: str, secret: str | None) -> Manifest:
    """Return how TLS for a host ends: with the certificate of a Secret, or else the controller's own."""
    return {"hosts": [host], **({"secretName": secret} if secret else {})}


def render_issuer(issuer: Issuer) -> dict[str, str]:
    """Return the annotations by which cert-manager has a certificate issued into the Ingress's Secret."""
    if issuer.group == CERT_MANAGER:
        return {CLUSTER_ISSUER if issuer.kind == "ClusterIssuer" else ISSUER: issuer.name}
    return {ISSUER: issuer.name, f"{ISSUER}-kind": issuer.kind, f"{ISSUER}-group": issuer.group}
