"""What keys, tokens and limits of an endpoint mean for its pods: variables and volumes of docs/runtime-contract.md."""

import json
from collections.abc import Sequence

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.api.access import Rate
from scoring_operator.diagnosis import KEYS_VOLUME
from scoring_operator.render.resources import format_number

KEYS_DIR = "/etc/scoring/api-keys"
CA_VOLUME = "jwt-ca"
CA_DIR = "/etc/scoring/jwt-ca"


def render_access_environment(model: ScoringModel) -> dict[str, object]:
    """Return the variables by name; None for one that is not set."""
    endpoint = model.spec.endpoint
    limits, clients, timeouts = endpoint.rate_limit, endpoint.clients, endpoint.timeouts
    return {
        "SCORING_API_KEYS_DIR": endpoint.api_keys and KEYS_DIR,
        **render_token_environment(model),
        **render_rate("KEY", limits.per_key if limits else None),
        **render_rate("CLIENT", limits.per_client if limits else None),
        "SCORING_MAX_REQUESTS_PER_CLIENT": clients and clients.max_requests,
        "SCORING_MAX_CONNECTIONS_PER_CLIENT": clients and clients.max_connections,
        "SCORING_TRUSTED_PROXIES": write_list(clients.trusted_proxies if clients else None),
        "SCORING_MAX_BODY_BYTES": endpoint.max_body_bytes,
        "SCORING_HEADER_TIMEOUT_SECONDS": timeouts and timeouts.header_seconds,
        "SCORING_BODY_TIMEOUT_SECONDS": timeouts and timeouts.body_seconds,
    }


def render_token_environment(model: ScoringModel) -> dict[str, object]:
    """Return the variables about tokens; none without an issuer."""
    jwt = model.spec.endpoint.jwt
    if jwt is None:
        return {}
    claims = {name: list(values) for name, values in (jwt.required_claims or {}).items()}
    return {
        "SCORING_JWT_ISSUER": jwt.issuer,
        "SCORING_JWT_AUDIENCES": write_list(jwt.audiences),
        "SCORING_JWT_JWKS_URI": jwt.jwks_uri,
        "SCORING_JWT_REQUIRED_CLAIMS": json.dumps(claims, sort_keys=True) if claims else None,
        "SCORING_JWT_NAME_CLAIM": jwt.name_claim,
        "SCORING_JWT_CA_FILE": jwt.ca_bundle and f"{CA_DIR}/{jwt.ca_bundle.key}",
    }


def render_rate(subject: str, rate: Rate | None) -> dict[str, object]:
    """Return the two variables of a rate."""
    if rate is None:
        return {}
    return {
        f"SCORING_RATE_PER_{subject}": format_number(str(rate.requests_per_second)),
        f"SCORING_BURST_PER_{subject}": rate.size,
    }


def write_list(values: Sequence[str] | None) -> str | None:
    """Return a list as the runtime reads it: JSON."""
    return json.dumps(list(values)) if values else None


def render_access_volumes(model: ScoringModel) -> list[Manifest]:
    """Return the volumes: the Secret of keys and the issuer's certificates.

    The Secret is optional, so that the pod starts without it: its runtime then says what is missing, which a pod that waits for a volume
    does not, and a Secret that is deleted later takes all keys with it, where the kubelet would leave those of a required one in place.
    """
    endpoint = model.spec.endpoint
    volumes: list[Manifest] = []
    if endpoint.api_keys is not None:
        volumes.append({"name": KEYS_VOLUME, "secret": {"secretName": endpoint.api_keys.secret_name, "optional": True}})
    if endpoint.jwt is not None and endpoint.jwt.ca_bundle is not None:
        volumes.append(
            {"name": CA_VOLUME, "configMap": {"name": endpoint.jwt.ca_bundle.config_map_name, "optional": True}}
        )
    return volumes


def render_access_mounts(model: ScoringModel) -> list[Manifest]:
    """Return the mounts of these volumes: whole folders, as the kubelet does not refresh single files."""
    folders = {KEYS_VOLUME: KEYS_DIR, CA_VOLUME: CA_DIR}
    names = [volume["name"] for volume in render_access_volumes(model)]
    return [{"name": name, "mountPath": folders[name], "readOnly": True} for name in names]


def find_issuer_address(model: ScoringModel) -> str | None:
    """Return where the replicas ask for the issuer's public keys; None without an issuer."""
    jwt = model.spec.endpoint.jwt
    return None if jwt is None else jwt.jwks_uri or jwt.issuer
