"""The Ingress or HTTPRoutes of a model with a host; golden files of both are in test_render.py."""

from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import Gateway, HardwareClass, Issuer, Manifest, ScoringModel
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import DEPLOYMENT, HTTP_ROUTE, INGRESS, REDIRECT, Kind
from scoring_operator.render import render_children
from scoring_operator.settings import Settings

HOST = "faq.example.com"
ANNOTATION = "kubernetes.io/ingress.class"
PUBLIC = Gateway(name="public", namespace="infra", section_name="https", redirect_section_name="http")

Render = Callable[..., dict[Kind, Manifest | None]]


@pytest.fixture
def render(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> Render:
    """Return what renders the children of a model with this endpoint, with some settings of the operator."""

    def call(endpoint: dict[str, Any], **defaults: Any) -> dict[Kind, Manifest | None]:
        model = build_model(endpoint=endpoint)
        return render_children(model, build_class(), settings.model_copy(update=defaults))

    return call


def read_ingress(children: dict[Kind, Manifest | None]) -> Manifest:
    ingress = children[INGRESS]
    assert ingress is not None
    return ingress


@pytest.mark.parametrize(
    ("endpoint", "defaults", "kinds"),
    [
        ({}, {"gateway": PUBLIC}, set()),
        ({"host": HOST}, {}, {INGRESS}),
        ({"host": HOST}, {"gateway": PUBLIC}, {HTTP_ROUTE, REDIRECT}),
        ({"host": HOST, "ingressClassName": "nginx"}, {"gateway": PUBLIC}, {INGRESS}),
        ({"host": HOST, "ingressAnnotations": {}}, {"gateway": PUBLIC}, {INGRESS}),
        ({"host": HOST, "gateway": {"name": "own"}}, {"gateway": PUBLIC}, {HTTP_ROUTE}),
        ({"host": HOST, "gateway": {"name": "own"}}, {"ingress_class_name": "nginx"}, {HTTP_ROUTE}),
    ],
)
def test_endpoint_has_an_ingress_or_http_routes_and_never_both(
    render: Render, endpoint: dict[str, Any], defaults: dict[str, Any], kinds: set[Kind]
) -> None:
    children = render(endpoint, **defaults)
    assert {kind for kind in (INGRESS, HTTP_ROUTE, REDIRECT) if children[kind] is not None} == kinds


def test_what_the_operator_sets_for_all_ingresses_gives_way_to_the_models_own(render: Render) -> None:
    defaults = {"ingress_class_name": "nginx", "ingress_annotations": {"a": "all", "b": "all"}}
    ingress = read_ingress(render({"host": HOST}, **defaults))
    assert ingress["spec"]["ingressClassName"] == "nginx"
    own = read_ingress(
        render({"host": HOST, "ingressClassName": "traefik", "ingressAnnotations": {"b": "own"}}, **defaults)
    )
    assert own["spec"]["ingressClassName"] == "traefik"
    assert own["metadata"]["annotations"].items() >= {"a": "all", "b": "own"}.items()


@pytest.mark.parametrize(
    ("endpoint", "annotations", "class_name", "annotated"),
    [
        ({"ingressAnnotations": {ANNOTATION: "own"}}, {}, None, "own"),
        ({"ingressAnnotations": {ANNOTATION: "own"}}, {ANNOTATION: "all"}, None, "own"),
        ({}, {ANNOTATION: "all"}, None, "all"),
        ({"ingressClassName": "traefik"}, {ANNOTATION: "all"}, "traefik", None),
        ({"ingressAnnotations": {"a": "own"}}, {}, "nginx", None),
    ],
)
def test_class_is_named_by_field_or_annotation_and_the_models_own_wins(
    render: Render,
    endpoint: dict[str, Any],
    annotations: dict[str, str],
    class_name: str | None,
    annotated: str | None,
) -> None:
    defaults = {"ingress_class_name": "nginx", "ingress_annotations": annotations}
    ingress = read_ingress(render({"host": HOST, **endpoint}, **defaults))
    found = ingress["metadata"]["annotations"].get(ANNOTATION)
    assert (ingress["spec"].get("ingressClassName"), found) == (class_name, annotated)


@pytest.mark.parametrize(
    ("tls", "secret", "annotations"),
    [
        ({}, None, {}),
        ({"secretName": "cert"}, "cert", {}),
        ({"issuer": {"name": "ca"}}, "faq-tls", {"cert-manager.io/issuer": "ca"}),
        (
            {"secretName": "cert", "issuer": {"name": "ca", "kind": "ClusterIssuer"}},
            "cert",
            {"cert-manager.io/cluster-issuer": "ca"},
        ),
        (
            {"issuer": {"name": "ca", "kind": "AWSPCAIssuer", "group": "awspca.cert-manager.io"}},
            "faq-tls",
            {
                "cert-manager.io/issuer": "ca",
                "cert-manager.io/issuer-kind": "AWSPCAIssuer",
                "cert-manager.io/issuer-group": "awspca.cert-manager.io",
            },
        ),
    ],
)
def test_certificate_is_the_secrets_the_issuers_or_the_controllers_own(
    render: Render, tls: dict[str, Any], secret: str | None, annotations: dict[str, str]
) -> None:
    ingress = read_ingress(render({"host": HOST, "tls": tls}))
    (rendered,) = ingress["spec"]["tls"]
    assert (rendered["hosts"], rendered.get("secretName")) == ([HOST], secret)
    found = {name: value for name, value in ingress["metadata"]["annotations"].items() if "cert-manager" in name}
    assert found == annotations


def test_default_issuer_is_for_models_that_say_nothing_of_tls(render: Render) -> None:
    issuer = Issuer(name="letsencrypt", kind="ClusterIssuer")
    ingress = read_ingress(render({"host": HOST}, issuer=issuer))
    assert ingress["spec"]["tls"] == [{"hosts": [HOST], "secretName": "faq-tls"}]
    own = read_ingress(render({"host": HOST, "tls": {"secretName": "own"}}, issuer=issuer))
    assert "cert-manager.io/cluster-issuer" not in own["metadata"]["annotations"]


def test_tls_of_the_models_own_is_refused_behind_the_default_gateway(render: Render) -> None:
    with pytest.raises(ModelProblem, match=r"spec\.endpoint\.tls: models are routed by Gateway public here"):
        render({"host": HOST, "tls": {}}, gateway=PUBLIC)


def test_redirect_is_bound_to_the_http_listener_and_the_route_to_the_https_one(render: Render) -> None:
    children = render({"host": HOST, "path": "/faq"}, gateway=PUBLIC)
    route, redirect = children[HTTP_ROUTE], children[REDIRECT]
    assert route is not None
    assert redirect is not None
    sections = {body["metadata"]["name"]: body["spec"]["parentRefs"][0]["sectionName"] for body in (route, redirect)}
    assert sections == {"faq": "https", "faq.redirect": "http"}
    assert "backendRefs" not in redirect["spec"]["rules"][0]
    assert redirect["spec"]["rules"][0]["matches"] == route["spec"]["rules"][0]["matches"]


@pytest.mark.parametrize(("path", "prefix"), [(None, None), ("/", None), ("/team/faq", "/team/faq")])
def test_runtime_is_told_the_prefix_that_it_strips(render: Render, path: str | None, prefix: str | None) -> None:
    deployment = render({"host": HOST, **({"path": path} if path else {})})[DEPLOYMENT]
    assert deployment is not None
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {item["name"]: item["value"] for item in container["env"]}
    assert environment.get("SCORING_PATH_PREFIX") == prefix
