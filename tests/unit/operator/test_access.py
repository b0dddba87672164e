"""Keys, tokens and limits of an endpoint: what is refused, and what the pods get."""

from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.diagnosis import find_problem
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import DEPLOYMENT, NETWORK_POLICY
from scoring_operator.render import render_children
from scoring_operator.settings import Settings

Build = Callable[..., Any]
ISSUER = {"issuer": "https://login.example.com/realms/shop", "audiences": ["faq"]}


@pytest.fixture
def render(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> Callable[..., dict[Any, Manifest | None]]:
    def render_endpoint(**endpoint: Any) -> dict[Any, Manifest | None]:
        model = build_model(model={"uri": "file:///m"}, endpoint=endpoint, network={"egress": []})
        return render_children(model, build_class(), settings)

    return render_endpoint


def read_pod(children: dict[Any, Manifest | None]) -> tuple[Manifest, dict[str, str]]:
    deployment = children[DEPLOYMENT]
    assert deployment is not None
    spec = deployment["spec"]["template"]["spec"]
    return spec, {variable["name"]: variable["value"] for variable in spec["containers"][0]["env"]}


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [
        ({"apiKeys": {}}, "apiKeys.secretName"),
        ({"apiKeys": {"secretName": "Faq keys"}}, "apiKeys.secretName"),
        ({"jwt": {"issuer": "https://login.example.com"}}, "jwt.audiences"),
        ({"jwt": {"issuer": "https://login.example.com", "audiences": []}}, "jwt.audiences"),
        ({"jwt": {**ISSUER, "issuer": "http://login.example.com"}}, "jwt.issuer"),
        ({"jwt": {**ISSUER, "issuer": "https://me:secret@login.example.com"}}, "jwt.issuer"),
        ({"jwt": {**ISSUER, "issuer": "https://login.example.com?tenant=1"}}, "jwt.issuer"),
        ({"jwt": {**ISSUER, "issuer": "https://login.example.com:99999"}}, "jwt.issuer"),
        ({"jwt": {**ISSUER, "jwksUri": "file:///etc/passwd"}}, "jwt.jwksUri"),
        ({"jwt": {**ISSUER, "requiredClaims": {"scope": []}}}, "jwt.requiredClaims.scope"),
        ({"jwt": {**ISSUER, "caBundle": {"configMapName": "ca", "key": "../ca"}}}, "jwt.caBundle.key"),
        ({"rateLimit": {"perKey": {}}}, "rateLimit.perKey.requestsPerSecond"),
        ({"rateLimit": {"perClient": {"requestsPerSecond": 0}}}, "rateLimit.perClient.requestsPerSecond"),
        ({"rateLimit": {"perClient": {"requestsPerSecond": 1, "burst": 0}}}, "rateLimit.perClient.burst"),
        ({"clients": {"maxRequests": 0}}, "clients.maxRequests"),
        ({"clients": {"maxConnections": 5000}}, "clients.maxConnections"),
        ({"clients": {"trustedProxies": ["10.0.0.1/8"]}}, "clients.trustedProxies"),
        ({"clients": {"trustedProxies": ["10.0.0.1"]}}, "clients.trustedProxies"),
        ({"clients": {"trustedProxies": ["10.0.0.0/255.0.0.0"]}}, "clients.trustedProxies"),
        ({"clients": {"trustedProxies": []}}, "clients.trustedProxies"),
        ({"maxBodyBytes": 0}, "maxBodyBytes"),
        ({"timeouts": {"bodySeconds": 0}}, "timeouts.bodySeconds"),
        ({"timeouts": {"headerSeconds": 4000}}, "timeouts.headerSeconds"),
    ],
)
def test_wrong_field_is_named(build_model: Callable[..., ScoringModel], endpoint: dict[str, Any], field: str) -> None:
    with pytest.raises(ModelProblem) as refused:
        build_model(endpoint=endpoint)
    assert refused.value.message.startswith(f"ScoringModel faq: spec.endpoint.{field}")
    assert "secret@" not in refused.value.message


def test_endpoint_without_a_door_changes_nothing_in_the_pods(render: Build) -> None:
    spec, environment = read_pod(render())
    assert not [name for name in environment if "KEY" in name or "JWT" in name or "CLIENT" in name]
    assert [volume["name"] for volume in spec["volumes"]] == ["work", "tmp"]


def test_keys_are_mounted_as_a_folder_that_may_be_missing(render: Build) -> None:
    spec, environment = read_pod(render(apiKeys={"secretName": "faq-keys"}))
    assert spec["volumes"][-1] == {"name": "api-keys", "secret": {"secretName": "faq-keys", "optional": True}}
    mount = spec["containers"][0]["volumeMounts"][-1]
    assert mount == {"name": "api-keys", "mountPath": environment["SCORING_API_KEYS_DIR"], "readOnly": True}


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        ({"requestsPerSecond": 0.5}, ("0.5", "1")),
        ({"requestsPerSecond": 2.5}, ("2.5", "3")),
        ({"requestsPerSecond": 20, "burst": 100}, ("20", "100")),
        ({"requestsPerSecond": 1_000_000}, ("1000000", "1000000")),
    ],
)
def test_burst_follows_from_the_rate(render: Build, rate: dict[str, Any], expected: tuple[str, str]) -> None:
    _, environment = read_pod(render(rateLimit={"perClient": rate}))
    assert (environment["SCORING_RATE_PER_CLIENT"], environment["SCORING_BURST_PER_CLIENT"]) == expected


@pytest.mark.parametrize(
    ("jwt", "port"),
    [
        (ISSUER, 443),
        ({**ISSUER, "issuer": "https://login.example.com:8443/x"}, 8443),
        ({**ISSUER, "jwksUri": "https://keys.example.com:9443/jwks"}, 9443),
    ],
)
def test_policy_lets_the_replicas_reach_the_issuer(render: Build, jwt: dict[str, Any], port: int) -> None:
    policy = render(jwt=jwt)[NETWORK_POLICY]
    assert policy is not None
    assert policy["spec"]["egress"][1:] == [{"ports": [{"protocol": "TCP", "port": port}]}]


@pytest.mark.parametrize(
    "name", ["SCORING_API_KEYS_DIR", "SCORING_JWT_ISSUER", "SCORING_RATE_PER_KEY", "SCORING_TRUSTED_PROXIES"]
)
def test_door_cannot_be_opened_by_a_variable(build_model: Callable[..., ScoringModel], name: str) -> None:
    with pytest.raises(ModelProblem, match="follows from other fields"):
        build_model(runtime={"env": [{"name": name, "value": ""}]})


def test_missing_keys_name_their_secret(build_pod: Build, build_deployment: Build) -> None:
    said = '{"code": "ApiKeysMissing", "message": "No API key can be used."}'
    pod = build_pod(containerStatuses=[{"image": "x", "state": {"terminated": {"exitCode": 1, "message": said}}}])
    deployment = build_deployment()
    secret = {"name": "api-keys", "secret": {"secretName": "faq-keys", "optional": True}}
    deployment["spec"]["template"] = {"spec": {"volumes": [secret]}}
    problem = find_problem(deployment, [pod])
    assert problem is not None
    assert (problem.reason, problem.stalled) == ("ApiKeysMissing", True)
    assert problem.message == (
        "The Secret faq-keys of spec.endpoint.apiKeys does not exist, or is of no use. No API key can be used."
    )
