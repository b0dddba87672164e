"""Whether a model is reached at its host: pure reading of its route and what takes it, into one verdict, which becomes the condition RouteReady.

Ready does not depend on it: that tells of the replicas and their Service, which serve the cluster whatever becomes of the route.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from scoring_operator.api import Gateway, Manifest, ScoringModel
from scoring_operator.api.route import CLASS_ANNOTATION, Routed
from scoring_operator.diagnosis import find_condition, shorten
from scoring_operator.kinds import GATEWAY
from scoring_operator.settings import Settings

ROUTE_READY = "RouteReady"
"""Type of the condition of a model with a host."""

ROUTED = "Routed"
ROUTE_PENDING = "RoutePending"
ADDRESS_PENDING = "AddressPending"
HOST_TAKEN = "HostTaken"
INGRESS_CLASS_NOT_FOUND = "IngressClassNotFound"
GATEWAY_API_NOT_INSTALLED = "GatewayApiNotInstalled"
GATEWAY_NOT_FOUND = "GatewayNotFound"
LISTENER_NOT_FOUND = "ListenerNotFound"
GATEWAY_NOT_READY = "GatewayNotReady"
ROUTE_REFUSED = "RouteRefused"

DEFAULT_CLASS_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"
SECURE = ("HTTPS", "TLS")
PLAIN_HTTP = "plain HTTP, by which everybody on the way can read requests and keys"


@dataclass(frozen=True)
class RouteSight:
    """What there is on the way to a model with a host, as last seen."""

    rival: str | None = None
    """Who has the host and path already."""

    is_gateway_api_missing: bool = False
    ingress: Manifest | None = None
    ingress_classes: Sequence[Manifest] = field(default_factory=tuple)
    gateway: Manifest | None = None
    route: Manifest | None = None
    redirect: Manifest | None = None


@dataclass(frozen=True)
class RouteVerdict:
    """The condition RouteReady, and the URL of the host once the model has it."""

    status: str
    reason: str
    message: str
    url: str | None = None


def judge_route(model: ScoringModel, settings: Settings, sight: RouteSight) -> RouteVerdict | None:
    """Return whether the model is reached at its host; None when it has none."""
    endpoint = model.spec.endpoint
    if endpoint.host is None:
        return None
    if sight.rival is not None:
        message = (
            f"{sight.rival} has {endpoint.host}{endpoint.prefix} already, so this model has no route. Choose another host or path, "
            "or take it from the other."
        )
        return RouteVerdict("False", HOST_TAKEN, message)
    gateway = endpoint.choose_gateway(settings.gateway)
    if gateway is None:
        return judge_ingress(model, settings, sight)
    return judge_gateway(endpoint, (gateway, gateway.namespace or model.namespace), sight)


def judge_ingress(model: ScoringModel, settings: Settings, sight: RouteSight) -> RouteVerdict:
    """Return whether a controller has taken the Ingress, as far as it tells: by an address."""
    endpoint = model.spec.endpoint
    url = build_url(endpoint, is_secure=endpoint.choose_tls(settings.issuer) is not None)
    entries = (sight.ingress or {}).get("status", {}).get("loadBalancer", {}).get("ingress") or []
    addresses = ", ".join(filter(None, (entry.get("hostname") or entry.get("ip") for entry in entries)))
    problem = find_class_problem(endpoint, settings, sight.ingress_classes, has_address=bool(addresses))
    if problem is not None:
        return RouteVerdict("False", INGRESS_CLASS_NOT_FOUND, problem, url)
    if not addresses:
        message = (
            "The Ingress has no address yet: the controller of its class gives one. See that it runs; one that is not set to report its "
            "address may serve the model all the same."
        )
        return RouteVerdict("Unknown", ADDRESS_PENDING, message, url)
    warning = "" if url.startswith("https") else f" It is {PLAIN_HTTP}: set spec.endpoint.tls."
    return RouteVerdict("True", ROUTED, f"{url} is routed by the Ingress at {addresses}.{warning}", url)


def find_class_problem(
    endpoint: Routed, settings: Settings, classes: Sequence[Manifest], *, has_address: bool
) -> str | None:
    """Return why no controller will take the Ingress: its class does not exist, or none is named and none is the default.

    A controller may take Ingresses without a class all the same, such as GKE's, which shows by an address.
    """
    names = sorted(body["metadata"]["name"] for body in classes)
    there_are = f"there are: {', '.join(names)}" if names else "the cluster has none: install an ingress controller"
    name = endpoint.ingress_class_name or settings.ingress_class_name
    if name:
        return None if name in names else f"IngressClass {name} does not exist; {there_are}."
    annotations = {**settings.ingress_annotations, **(endpoint.ingress_annotations or {})}
    if has_address or CLASS_ANNOTATION in annotations or any(map(is_default_class, classes)):
        return None
    return f"No IngressClass is named and none is the default; set spec.endpoint.ingressClassName; {there_are}."


def is_default_class(body: Manifest) -> bool:
    """Tell whether Ingresses without a class get this one."""
    return bool((body["metadata"].get("annotations") or {}).get(DEFAULT_CLASS_ANNOTATION) == "true")


def judge_gateway(endpoint: Routed, parent: tuple[Gateway, str], sight: RouteSight) -> RouteVerdict:
    """Return whether the Gateway has taken the HTTPRoute, and the redirect where there is to be one."""
    gateway, namespace = parent
    name = f"Gateway {namespace}/{gateway.name}"
    if sight.is_gateway_api_missing:
        message = (
            f"{name} is named, and this cluster serves no HTTPRoutes ({GATEWAY.api_version}): install the Gateway API, or name "
            "ingressClassName in place of gateway."
        )
        return RouteVerdict("False", GATEWAY_API_NOT_INSTALLED, message)
    url = build_url(endpoint, is_secure=is_secure(gateway, sight.gateway))
    if sight.gateway is None:
        return RouteVerdict("False", GATEWAY_NOT_FOUND, f"{name} does not exist: create it, or name another.", url)
    return (
        find_missing_listener(gateway, name, sight.gateway, url)
        or find_gateway_failure(name, sight.gateway, url)
        or judge_attachment(sight.route, f"HTTPRoute of {name}", (gateway.name, gateway.section_name), url)
        or judge_redirect(gateway, name, sight.redirect, url)
        or RouteVerdict("True", ROUTED, f"{url} is routed by {name}.{warn_of_plain_http(gateway, sight.gateway)}", url)
    )


def find_missing_listener(gateway: Gateway, name: str, body: Manifest, url: str) -> RouteVerdict | None:
    """Return that a listener does not exist by whose name the Gateway is used."""
    listeners = [listener["name"] for listener in body["spec"]["listeners"]]
    for section in (gateway.section_name, gateway.redirect_section_name):
        if section is not None and section not in listeners:
            message = (
                f"{name} has no listener {section}; there are: {', '.join(listeners)}. Correct spec.endpoint.gateway."
            )
            return RouteVerdict("False", LISTENER_NOT_FOUND, message, url)
    return None


def find_gateway_failure(name: str, body: Manifest, url: str) -> RouteVerdict | None:
    """Return that the Gateway itself does not work, by what its controller says."""
    for condition_type in ("Accepted", "Programmed"):
        condition = find_condition(body, condition_type)
        if condition.get("status") == "False":
            message = f"{name} does not work: {describe(condition)} Its owner has to mend it."
            return RouteVerdict("False", GATEWAY_NOT_READY, message, url)
    return None


def judge_redirect(gateway: Gateway, name: str, redirect: Manifest | None, url: str) -> RouteVerdict | None:
    """Return what is wrong with the HTTPRoute to HTTPS; None when there is none to be."""
    if gateway.redirect_section_name is None:
        return None
    parent = (gateway.name, gateway.redirect_section_name)
    return judge_attachment(redirect, f"redirecting HTTPRoute of {name}", parent, url)


def judge_attachment(
    route: Manifest | None, name: str, parent: tuple[str, str | None], url: str
) -> RouteVerdict | None:
    """Return what is wrong with an HTTPRoute by what the controller of its Gateway says; None when it is attached."""
    statuses = (route or {}).get("status", {}).get("parents") or []
    said = [one for one in statuses if (one["parentRef"]["name"], one["parentRef"].get("sectionName")) == parent]
    generation = (route or {}).get("metadata", {}).get("generation", 0)
    conditions = [
        condition
        for one in said
        for condition in one.get("conditions") or []
        if condition["type"] in {"Accepted", "ResolvedRefs"} and condition.get("observedGeneration", 0) >= generation
    ]
    wrong = next((condition for condition in conditions if condition["status"] == "False"), None)
    if wrong is not None:
        message = (
            f"The {name} is refused: {describe(wrong)} Change spec.endpoint, or have the Gateway's owner let it in."
        )
        return RouteVerdict("False", ROUTE_REFUSED, message, url)
    if not any(condition["type"] == "Accepted" and condition["status"] == "True" for condition in conditions):
        message = f"The {name} has not been taken by a controller yet: see that the one of the Gateway's class runs."
        return RouteVerdict("Unknown", ROUTE_PENDING, message, url)
    return None


def is_secure(gateway: Gateway, body: Manifest | None) -> bool:
    """Tell whether the model is reached by HTTPS: as the listener says, or as is to be expected of a Gateway that is not there."""
    if body is None:
        return gateway.redirect_section_name is not None
    listeners = body["spec"]["listeners"]
    return any(
        listener["protocol"] in SECURE and gateway.section_name in {None, listener["name"]} for listener in listeners
    )


def warn_of_plain_http(gateway: Gateway, body: Manifest) -> str:
    """Return what to say of a listener by which the model is served over plain HTTP, if there is one."""
    for listener in body["spec"]["listeners"]:
        if listener["protocol"] not in SECURE and gateway.section_name in {None, listener["name"]}:
            return (
                f" Its listener {listener['name']} serves {PLAIN_HTTP}: name one for HTTPS in gateway.sectionName, "
                "and this one in gateway.redirectSectionName."
            )
    return ""


def build_url(endpoint: Routed, *, is_secure: bool) -> str:
    """Return the URL of a host and path."""
    return f"http{'s' if is_secure else ''}://{endpoint.host}{endpoint.prefix.rstrip('/')}"


def describe(condition: Manifest) -> str:
    """Return what a condition of somebody else's says, as a sentence."""
    said = shorten(condition.get("message", "")).rstrip(".")
    reason = condition.get("reason", "")
    return f"{reason}: {said}." if said else f"{reason}."


def describe_refused_route(refusal: str) -> RouteVerdict:
    """Return the verdict on a route that the API server does not accept, in its words."""
    return RouteVerdict("False", ROUTE_REFUSED, f"The API server refuses the model's route: {refusal}")


def keep_verdict(body: Manifest) -> RouteVerdict | None:
    """Return what the status says already, for a model that cannot be read now: its route stays as it is."""
    condition = find_condition(body, ROUTE_READY)
    if not condition:
        return None
    reason, url = str(condition.get("reason")), body["status"].get("url")
    is_ours = isinstance(url, str) and reason not in {HOST_TAKEN, GATEWAY_API_NOT_INSTALLED}
    return RouteVerdict(condition["status"], reason, str(condition.get("message")), url if is_ours else None)
