"""Hosts inside the cluster behind a NetworkPolicy: a Service's port is not its pods', and the policy is held to theirs."""

from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.kinds import NETWORK_POLICY
from scoring_operator.render import render_children
from scoring_operator.settings import Settings

RenderEgress = Callable[..., list[Manifest]]


@pytest.fixture
def render_egress(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> RenderEgress:
    """Return what renders the egress rules beside that of names, for a model of which spec.model or the issuer is given."""

    def render(model: dict[str, Any] | None = None, issuer: str | None = None, **jwt: Any) -> list[Manifest]:
        endpoint = {"jwt": {"issuer": issuer, "audiences": ["faq"], **jwt}} if issuer else {}
        built = build_model(model=model or {"uri": "file:///m"}, endpoint=endpoint, network={})
        policy = render_children(built, build_class(), settings)[NETWORK_POLICY]
        assert policy is not None
        rules: list[Manifest] = policy["spec"]["egress"][1:]
        return rules

    return render


def open_ports(*ports: int) -> Manifest:
    return {"ports": [{"protocol": "TCP", "port": port} for port in ports]}


def open_namespace(name: str) -> Manifest:
    return {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]}


@pytest.mark.parametrize(
    ("host", "namespace"),
    [
        ("files.storage.svc", "storage"),
        ("files.storage.svc.cluster.local", "storage"),
        ("files.storage.svc.corp.example.com", "storage"),
        ("files.storage.svc.cluster.local.", "storage"),
        ("Files.Storage.SVC", "storage"),
        ("files-0.files.storage.svc", "storage"),
        ("svc.svc.svc", "svc"),
        ("files", None),
        ("files.storage", None),
        ("storage.svc", None),
        ("models.example.com", None),
        ("192.0.2.1", None),
        ("files.no_namespace.svc", None),
        ("files." + "x" * 64 + ".svc", None),
    ],
)
def test_artifact_of_a_service_opens_its_namespace(
    render_egress: RenderEgress, host: str, namespace: str | None
) -> None:
    rules = render_egress({"uri": f"https://{host}:8443/faq.tar"})
    assert rules == [open_ports(8443), *([open_namespace(namespace)] if namespace else [])]


@pytest.mark.parametrize(
    ("model", "rules"),
    [
        ({"uri": "oci://registry.images.svc:5000/faq:1"}, [open_ports(5000), open_namespace("images")]),
        (
            {"uri": "s3://models/faq", "endpoint": "https://minio.storage.svc", "credentials": {"secretName": "s3"}},
            [open_ports(443), open_namespace("storage")],
        ),
        # Buckets, not hosts.
        ({"uri": "s3://faq.team.svc/faq", "credentials": {"secretName": "s3"}}, [open_ports(443)]),
        ({"uri": "gs://faq.team.svc/faq", "credentials": {"secretName": "gs"}}, [open_ports(443)]),
    ],
)
def test_endpoint_of_a_store_opens_its_namespace_and_a_bucket_none(
    render_egress: RenderEgress, model: dict[str, Any], rules: list[Manifest]
) -> None:
    assert render_egress(model) == rules


def test_issuer_of_a_service_opens_the_namespace_of_its_keys(render_egress: RenderEgress) -> None:
    issuer = "https://keycloak.login.svc:8443/realms/shop"
    assert render_egress(issuer=issuer) == [open_ports(8443), open_namespace("login")]
    keys = render_egress(issuer=issuer, jwksUri="https://keys.security.svc/jwks")
    assert keys == [open_ports(443), open_namespace("security")]


@pytest.mark.parametrize("host", ["kubernetes.default.svc", "kubernetes.default.svc.cluster.local"])
def test_api_server_as_issuer_is_reached_at_its_own_port_and_opens_no_namespace(
    render_egress: RenderEgress, host: str
) -> None:
    assert render_egress(issuer=f"https://{host}") == [open_ports(443, 6443)]
    assert render_egress(issuer=f"https://{host}:6443") == [open_ports(6443)]
