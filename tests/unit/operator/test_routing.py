"""When a model is said to be reached at its host, and what is said when it is not."""

from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.routing import RouteSight, RouteVerdict, judge_route, keep_verdict
from scoring_operator.settings import Settings

Build = Callable[..., ScoringModel]

HOST = "faq.example.com"
CLASSES = [{"metadata": {"name": "traefik"}}]
DEFAULT_CLASS = {"metadata": {"name": "nginx", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}}
SECTIONS = {"sectionName": "https", "redirectSectionName": "http"}
PUBLIC = {"name": "public", "namespace": "infra", **SECTIONS}
LISTENERS = [{"name": "http", "protocol": "HTTP"}, {"name": "https", "protocol": "HTTPS"}]


def build_ingress(*addresses: dict[str, str]) -> Manifest:
    return {"status": {"loadBalancer": {"ingress": list(addresses)}}}


def build_gateway(*conditions: Manifest, listeners: list[Manifest] = LISTENERS) -> Manifest:
    return {"spec": {"listeners": listeners}, "status": {"conditions": list(conditions)}}


def build_condition(condition_type: str, status: str = "True", **more: Any) -> Manifest:
    return {"type": condition_type, "status": status, "observedGeneration": 2, **more}


def build_route(*conditions: Manifest, section: str = "https", gateway: str = "public") -> Manifest:
    parent = {"parentRef": {"name": gateway, "sectionName": section}, "conditions": list(conditions)}
    return {"metadata": {"generation": 2}, "status": {"parents": [parent]}}


TAKEN = [build_condition("Accepted"), build_condition("ResolvedRefs")]


def judge(model: ScoringModel, sight: RouteSight, settings: Settings) -> RouteVerdict:
    verdict = judge_route(model, settings, sight)
    assert verdict is not None
    return verdict


def see_gateway(**more: Any) -> RouteSight:
    """Return a Gateway that has taken both routes, but for what is said otherwise."""
    sight = {
        "gateway": build_gateway(build_condition("Programmed")),
        "route": build_route(*TAKEN),
        "redirect": build_route(*TAKEN, section="http"),
    }
    return RouteSight(**{**sight, **more})


def test_model_without_a_host_has_no_route(build_model: Build, settings: Settings) -> None:
    assert judge_route(build_model(), settings, RouteSight()) is None


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ({}, f"http://{HOST}"),
        ({"path": "/faq"}, f"http://{HOST}/faq"),
        ({"tls": {}}, f"https://{HOST}"),
        ({"tls": {"secretName": "cert"}, "path": "/"}, f"https://{HOST}"),
    ],
)
def test_ingress_with_an_address_is_routed(
    build_model: Build, settings: Settings, endpoint: dict[str, Any], url: str
) -> None:
    model = build_model(endpoint={"host": HOST, "ingressClassName": "traefik", **endpoint})
    sight = RouteSight(ingress=build_ingress({"ip": "192.0.2.1"}, {"hostname": "lb.net"}), ingress_classes=CLASSES)
    verdict = judge(model, sight, settings)
    assert (verdict.status, verdict.reason, verdict.url) == ("True", "Routed", url)
    assert verdict.message.startswith(f"{url} is routed by the Ingress at 192.0.2.1, lb.net.")
    assert ("plain HTTP" in verdict.message) == url.startswith("http:")


def test_ingress_without_an_address_is_not_known_to_be_routed(build_model: Build, settings: Settings) -> None:
    sight = RouteSight(ingress={"spec": {}}, ingress_classes=[DEFAULT_CLASS])
    verdict = judge(build_model(endpoint={"host": HOST}), sight, settings)
    assert (verdict.status, verdict.reason, verdict.url) == ("Unknown", "AddressPending", f"http://{HOST}")


@pytest.mark.parametrize(
    ("endpoint", "classes", "message"),
    [
        ({"ingressClassName": "ngin"}, CLASSES, "IngressClass ngin does not exist; there are: traefik."),
        ({}, CLASSES, "none is the default; set spec.endpoint.ingressClassName; there are: traefik."),
        ({}, [], "the cluster has none: install an ingress controller."),
    ],
)
def test_missing_class_is_told_with_those_there_are(
    build_model: Build, settings: Settings, endpoint: dict[str, Any], classes: list[Manifest], message: str
) -> None:
    verdict = judge(build_model(endpoint={"host": HOST, **endpoint}), RouteSight(ingress_classes=classes), settings)
    assert (verdict.status, verdict.reason) == ("False", "IngressClassNotFound")
    assert message in verdict.message


def test_ingress_without_a_class_is_routed_once_a_controller_has_taken_it(
    build_model: Build, settings: Settings
) -> None:
    sight = RouteSight(ingress=build_ingress({"ip": "192.0.2.1"}))
    assert judge(build_model(endpoint={"host": HOST}), sight, settings).reason == "Routed"
    named = build_model(endpoint={"host": HOST, "ingressClassName": "gone"})
    assert judge(named, sight, settings).reason == "IngressClassNotFound"


def test_old_class_annotation_names_a_class_too(build_model: Build, settings: Settings) -> None:
    annotations = {"kubernetes.io/ingress.class": "old"}
    verdict = judge(build_model(endpoint={"host": HOST, "ingressAnnotations": annotations}), RouteSight(), settings)
    assert verdict.reason == "AddressPending"


def test_gateway_that_has_taken_route_and_redirect_routes(build_model: Build, settings: Settings) -> None:
    verdict = judge(build_model(endpoint={"host": HOST, "path": "/faq", "gateway": PUBLIC}), see_gateway(), settings)
    url = f"https://{HOST}/faq"
    assert verdict == RouteVerdict("True", "Routed", f"{url} is routed by Gateway infra/public.", url)


@pytest.mark.parametrize(
    ("sight", "status", "reason", "message"),
    [
        (RouteSight(is_gateway_api_missing=True), "False", "GatewayApiNotInstalled", "install the Gateway API"),
        (RouteSight(), "False", "GatewayNotFound", "Gateway infra/public does not exist"),
        (
            see_gateway(gateway=build_gateway(listeners=[{"name": "web", "protocol": "HTTP"}])),
            "False",
            "ListenerNotFound",
            "Gateway infra/public has no listener https; there are: web.",
        ),
        (
            see_gateway(route=None),
            "Unknown",
            "RoutePending",
            "The HTTPRoute of Gateway infra/public has not been taken",
        ),
        (see_gateway(route=build_route()), "Unknown", "RoutePending", "has not been taken"),
        (see_gateway(route=build_route(*TAKEN, section="http")), "Unknown", "RoutePending", "has not been taken"),
        (see_gateway(route=build_route(*TAKEN, gateway="old")), "Unknown", "RoutePending", "has not been taken"),
        (
            see_gateway(route=build_route({**TAKEN[0], "observedGeneration": 1})),
            "Unknown",
            "RoutePending",
            "has not been taken",
        ),
        (
            see_gateway(route=build_route(build_condition("Accepted", "False", reason="NotAllowedByListeners"))),
            "False",
            "RouteRefused",
            "refused: NotAllowedByListeners.",
        ),
        (
            see_gateway(
                route=build_route(
                    TAKEN[0],
                    build_condition("ResolvedRefs", "False", reason="BackendNotFound", message="no Service."),
                )
            ),
            "False",
            "RouteRefused",
            "refused: BackendNotFound: no Service. Change",
        ),
        (see_gateway(redirect=None), "Unknown", "RoutePending", "The redirecting HTTPRoute of Gateway infra/public"),
        (
            see_gateway(gateway=build_gateway(build_condition("Programmed", "False", reason="AddressNotAssigned"))),
            "False",
            "GatewayNotReady",
            "Gateway infra/public does not work: AddressNotAssigned.",
        ),
    ],
)
def test_what_keeps_a_gateway_from_routing_is_told(
    build_model: Build, settings: Settings, sight: RouteSight, status: str, reason: str, message: str
) -> None:
    verdict = judge(build_model(endpoint={"host": HOST, "gateway": PUBLIC}), sight, settings)
    assert (verdict.status, verdict.reason) == (status, reason)
    assert message in verdict.message


@pytest.mark.parametrize(
    ("gateway", "protocols", "scheme"),
    [
        ({}, {"http": "HTTP"}, "http"),
        ({}, {"http": "HTTP", "https": "HTTPS"}, "https"),
        ({"sectionName": "http"}, {"http": "HTTP", "https": "HTTPS"}, "http"),
        ({"sectionName": "https"}, {"http": "HTTP", "https": "HTTPS"}, "https"),
    ],
)
def test_scheme_is_that_of_the_listener(
    build_model: Build, settings: Settings, gateway: dict[str, str], protocols: dict[str, str], scheme: str
) -> None:
    listeners = [{"name": name, "protocol": protocol} for name, protocol in protocols.items()]
    model = build_model(endpoint={"host": HOST, "gateway": {"name": "public", **gateway}})
    verdict = judge(model, RouteSight(gateway=build_gateway(listeners=listeners)), settings)
    assert verdict.url == f"{scheme}://{HOST}"


@pytest.mark.parametrize(("section", "is_told"), [(None, True), ("http", True), ("https", False)])
def test_listener_that_serves_plain_http_is_told(
    build_model: Build, settings: Settings, section: str | None, is_told: bool
) -> None:
    gateway = {"name": "public", **({"sectionName": section} if section else {})}
    route = build_route(*TAKEN, section=section or "")
    if section is None:
        del route["status"]["parents"][0]["parentRef"]["sectionName"]
    model = build_model(endpoint={"host": HOST, "gateway": gateway})
    verdict = judge(model, see_gateway(route=route), settings)
    assert verdict.status == "True"
    assert ("Its listener http serves plain HTTP" in verdict.message) is is_told


def test_default_gateway_serves_models_that_name_no_ingress_class(build_model: Build, settings: Settings) -> None:
    routed = settings.model_copy(
        update={"gateway": build_model(endpoint={"host": HOST, "gateway": PUBLIC}).spec.endpoint.gateway}
    )
    assert judge(build_model(endpoint={"host": HOST}), see_gateway(), routed).url == f"https://{HOST}"
    of_ingress = build_model(endpoint={"host": HOST, "ingressClassName": "traefik"})
    assert judge(of_ingress, RouteSight(ingress_classes=CLASSES), routed).reason == "AddressPending"


def test_rival_is_named_and_the_host_is_not_shown_as_ours(build_model: Build, settings: Settings) -> None:
    verdict = judge(build_model(endpoint={"host": HOST}), RouteSight(rival="ScoringModel web/shop"), settings)
    assert (verdict.status, verdict.reason, verdict.url) == ("False", "HostTaken", None)
    assert verdict.message.startswith(f"ScoringModel web/shop has {HOST}/ already")


@pytest.mark.parametrize(("reason", "url"), [("Routed", f"https://{HOST}"), ("HostTaken", None)])
def test_verdict_is_kept_of_a_model_that_cannot_be_read(
    build_body: Callable[..., Manifest], reason: str, url: str | None
) -> None:
    condition = {"type": "RouteReady", "status": "True", "reason": reason, "message": "Said before."}
    body = build_body(status={"conditions": [condition], "url": f"https://{HOST}"})
    assert keep_verdict(body) == RouteVerdict("True", reason, "Said before.", url)
    assert keep_verdict(build_body()) is None
