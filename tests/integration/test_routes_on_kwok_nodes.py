"""Routes of models against a real API server with the Gateway API's real CRDs. No controller runs: the tests say what one would."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import yaml

from kubectl import Kubectl, KubectlError, Manifest
from local_clusters import ROOT, run_local_cluster
from operator_processes import OperatorProcess, count_writes, wait_until_quiet
from scoring_models import ScoringModels, open_namespace
from waiting import wait_for

CLASS = "integration-routes"
SECTIONS = {"sectionName": "https", "redirectSectionName": "http"}


@pytest.fixture(scope="module", autouse=True)
def _ingress_class(kubectl: Kubectl) -> Iterator[None]:
    """Make an IngressClass whose controller is this test."""
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": CLASS}}
    kubectl.apply({**body, "spec": {"controller": "scoring.dev/test"}})
    yield
    kubectl("delete", "ingressclass", CLASS)


@pytest.fixture
def others(kubectl: Kubectl, models: ScoringModels) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a second namespace."""
    del models
    with open_namespace(kubectl, "integration-others") as others:
        yield others


@pytest.fixture
def host(models: ScoringModels) -> str:
    """Return a host name of the test's own."""
    return f"{models.kubectl.namespace}.example.com"


@pytest.fixture(scope="module")
def gateway_api(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the Gateway API, once a test asks for it; it goes with the last one."""
    file = tmp_path_factory.mktemp("crds") / "gateway-api.yaml"
    file.write_text(run_local_cluster("crds", "gateway-api"))
    kubectl("apply", "--server-side", "-f", str(file))
    kubectl("wait", "--for=condition=Established", "-f", str(file))
    yield
    kubectl("delete", "--ignore-not-found", "--wait=false", "-f", str(file))


def wait_for_route(models: ScoringModels, reason: str, name: str = "faq") -> Manifest:
    """Wait until RouteReady has a reason; return the condition."""

    def look() -> Manifest | None:
        condition = models.find_condition("RouteReady", name)
        return condition if condition and condition["reason"] == reason else None

    return wait_for(look, f"RouteReady {reason} of {name}")


def read_url(models: ScoringModels, name: str = "faq") -> str:
    url: str = models.kubectl.get("scoringmodel", name)["status"]["url"]
    return url


def say(kubectl: Kubectl, kind: str, name: str, status: Manifest) -> None:
    """Write the status of an object as its controller does."""
    kubectl.patch(kind, name, {"status": status}, "--subresource=status")


def accept(kubectl: Kubectl, name: str, section: str, accepted: str = "True", reason: str = "Accepted") -> None:
    """Say of an HTTPRoute what a Gateway's controller does."""
    route = kubectl.get("httproute", name)
    condition = {
        "type": "Accepted",
        "status": accepted,
        "reason": reason,
        "message": "",
        "lastTransitionTime": "2026-11-26T00:00:00Z",
        "observedGeneration": route["metadata"]["generation"],
    }
    parent = {"name": "public", "namespace": kubectl.namespace, "sectionName": section}
    parents = [{"parentRef": parent, "controllerName": "scoring.dev/test", "conditions": [condition]}]
    say(kubectl, "httproute", name, {"parents": parents})


def build_gateway(*listeners: Manifest) -> Manifest:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "public"},
        "spec": {"gatewayClassName": "test", "listeners": list(listeners)},
    }


HTTP = {"name": "http", "port": 80, "protocol": "HTTP"}
HTTPS = {"name": "https", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}}


def test_ingress_is_made_and_its_address_makes_the_route_ready(models: ScoringModels, host: str) -> None:
    tls = {"issuer": {"name": "ca"}}
    models.apply(endpoint={"host": host, "path": "/faq", "ingressClassName": CLASS, "tls": tls})
    models.wait_until_ready()
    pending = wait_for_route(models, "AddressPending")
    assert pending["status"] == "Unknown"
    ingress = models.kubectl.get("ingress", "faq")
    assert ingress["metadata"]["annotations"]["cert-manager.io/issuer"] == "ca"
    assert ingress["spec"]["tls"] == [{"hosts": [host], "secretName": "faq-tls"}]
    say(models.kubectl, "ingress", "faq", {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}})
    assert wait_for_route(models, "Routed")["status"] == "True"
    assert read_url(models) == f"https://{host}/faq"
    models.kubectl("wait", "scoringmodel/faq", "--for=condition=RouteReady", "--timeout=5s")
    models.apply(endpoint={})
    wait_for(lambda: models.kubectl.find("ingress", "faq") is None, "the Ingress to go")
    wait_for(lambda: models.find_condition("RouteReady") is None, "the condition to go")
    assert read_url(models) == f"http://faq.{models.kubectl.namespace}.svc"


def test_edited_and_deleted_ingress_is_put_back(models: ScoringModels, host: str) -> None:
    models.apply(endpoint={"host": host, "ingressClassName": CLASS})
    wait_for(lambda: models.kubectl.find("ingress", "faq"), "the Ingress")
    models.kubectl("label", "ingress", "faq", "scoring.dev/model-", "app.kubernetes.io/managed-by-")
    wait_for(lambda: "scoring.dev/model" in models.kubectl.get("ingress", "faq")["metadata"].get("labels", {}), "label")
    models.kubectl.patch("ingress", "faq", {"spec": {"ingressClassName": "other"}})
    wait_for(lambda: models.kubectl.get("ingress", "faq")["spec"]["ingressClassName"] == CLASS, "the class")
    models.kubectl("delete", "ingress", "faq")
    wait_for(lambda: models.kubectl.find("ingress", "faq"), "the Ingress again")


def test_unknown_class_is_told_and_noticed_when_it_comes(models: ScoringModels, host: str, kubectl: Kubectl) -> None:
    name = f"late-{models.kubectl.namespace[-8:]}"
    models.apply(endpoint={"host": host, "ingressClassName": name})
    message = wait_for_route(models, "IngressClassNotFound")["message"]
    assert message.startswith(f"IngressClass {name} does not exist; there are: ")
    assert CLASS in message
    models.wait_until_ready()
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name}}
    kubectl.apply({**body, "spec": {"controller": "scoring.dev/test"}})
    wait_for_route(models, "AddressPending")
    kubectl("delete", "ingressclass", name)
    wait_for_route(models, "IngressClassNotFound")


def test_younger_model_of_another_namespace_is_told_who_has_the_host_and_gets_it_when_that_goes(
    models: ScoringModels, others: ScoringModels, host: str
) -> None:
    endpoint = {"host": host, "ingressClassName": CLASS}
    models.apply(endpoint=endpoint)
    wait_for_route(models, "AddressPending")
    others.apply("late", endpoint=endpoint)
    taken = wait_for_route(others, "HostTaken", "late")
    assert taken["message"].startswith(f"ScoringModel {models.kubectl.namespace}/faq has {host}/ already")
    others.wait_until_ready("late")
    assert others.kubectl.find("ingress", "late") is None
    assert read_url(others, "late") == f"http://late.{others.kubectl.namespace}.svc"
    assert "HostTaken" in others.kubectl("events", "--for", "scoringmodel/late")
    models.apply(endpoint={**endpoint, "path": "/faq"})
    wait_for_route(others, "AddressPending", "late")
    assert read_url(others, "late") == f"http://{host}"
    models.apply(endpoint=endpoint)
    wait_for_route(models, "HostTaken")
    wait_for(lambda: models.kubectl.find("ingress", "faq") is None, "the older one's Ingress to go")
    others.kubectl("delete", "scoringmodel", "late")
    wait_for_route(models, "AddressPending")
    assert models.kubectl.find("ingress", "faq") is not None


def test_ingress_of_somebody_else_keeps_the_host_until_it_is_deleted(
    models: ScoringModels, others: ScoringModels, host: str
) -> None:
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    spec = {"ingressClassName": CLASS, "rules": [{"host": host, "http": {"paths": paths}}]}
    shop = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "shop"}, "spec": spec}
    others.kubectl.apply(shop)
    models.apply(endpoint={"host": host, "ingressClassName": CLASS})
    assert f"Ingress {others.kubectl.namespace}/shop has" in wait_for_route(models, "HostTaken")["message"]
    others.kubectl("delete", "ingress", "shop")
    wait_for_route(models, "AddressPending")
    others.kubectl.apply(shop)
    models.kubectl("scale", "scoringmodel", "faq", "--replicas=2")
    wait_for(lambda: models.find_ready().get("message") == "2 of 2 replicas ready.", "two replicas")
    assert models.kubectl.find("ingress", "faq") is not None


def test_restart_neither_writes_nor_changes_who_has_a_host(
    models: ScoringModels, others: ScoringModels, host: str, kubectl: Kubectl, operator: OperatorProcess
) -> None:
    endpoint = {"host": host, "ingressClassName": CLASS}
    models.apply(endpoint=endpoint)
    wait_for_route(models, "AddressPending")
    others.apply("late", endpoint=endpoint)
    wait_for_route(others, "HostTaken", "late")
    models.wait_until_ready()
    others.wait_until_ready("late")
    before = wait_until_quiet(kubectl)
    operator.stop()
    operator.start()
    wait_until_quiet(kubectl)
    assert count_writes(kubectl) == before


def test_gateway_is_told_of_step_by_step_and_its_kinds_may_come_late(
    models: ScoringModels, host: str, request: pytest.FixtureRequest, operator: OperatorProcess
) -> None:
    own = models.kubectl
    models.apply(endpoint={"host": host, "gateway": {"name": "public", **SECTIONS}})
    models.wait_until_ready()
    assert "install the Gateway API" in wait_for_route(models, "GatewayApiNotInstalled")["message"]
    request.getfixturevalue("gateway_api")
    wait_for_route(models, "GatewayNotFound")
    wait_for(lambda: own.find("httproute", "faq.redirect"), "the redirect")
    own.apply(build_gateway(HTTP))
    assert "no listener https; there are: http." in wait_for_route(models, "ListenerNotFound")["message"]
    own.apply(build_gateway(HTTP, HTTPS))
    wait_for_route(models, "RoutePending")
    accept(own, "faq", "https", "False", "NotAllowedByListeners")
    assert "NotAllowedByListeners" in wait_for_route(models, "RouteRefused")["message"]
    accept(own, "faq", "https")
    assert "redirecting HTTPRoute" in wait_for_route(models, "RoutePending")["message"]
    accept(own, "faq.redirect", "http")
    wait_for_route(models, "Routed")
    assert read_url(models) == f"https://{host}"
    own("delete", "gateway", "public")
    wait_for_route(models, "GatewayNotFound")
    assert operator.is_healthy()


@pytest.mark.usefixtures("gateway_api")
def test_model_changes_from_ingress_to_gateway_and_back_without_having_both(models: ScoringModels, host: str) -> None:
    def has_routes(wished: set[str]) -> bool:
        return set(models.kubectl("get", "ingresses,httproutes", "-o", "name").split()) == wished

    kinds: list[tuple[dict[str, Any], set[str]]] = [
        ({"ingressClassName": CLASS}, {"ingress.networking.k8s.io/faq"}),
        (
            {"gateway": {"name": "public", **SECTIONS}},
            {f"httproute.gateway.networking.k8s.io/{name}" for name in ("faq", "faq.redirect")},
        ),
        ({"gateway": {"name": "public", "sectionName": "https"}}, {"httproute.gateway.networking.k8s.io/faq"}),
        ({"ingressClassName": CLASS}, {"ingress.networking.k8s.io/faq"}),
    ]
    for endpoint, wished in kinds:
        models.apply(endpoint={"host": host, **endpoint})
        wait_for(partial(has_routes, wished), f"{wished} alone")


@pytest.fixture
def hosts_policy(kubectl: Kubectl, models: ScoringModels) -> Iterator[None]:
    """Apply the sample's policy to the models' namespace alone."""
    policy, binding = yaml.safe_load_all((ROOT / "samples" / "platform" / "hosts-policy.yaml").read_text())
    selector = {"matchLabels": {"kubernetes.io/metadata.name": models.kubectl.namespace}}
    kubectl.apply(policy, {**binding, "spec": {**binding["spec"], "matchResources": {"namespaceSelector": selector}}})
    yield
    kubectl("delete", "validatingadmissionpolicies,validatingadmissionpolicybindings", "scoring-hosts")


@pytest.mark.usefixtures("hosts_policy")
def test_sample_policy_keeps_a_namespace_to_its_own_hosts(models: ScoringModels) -> None:
    own = f"faq.{models.kubectl.namespace}.models.example.com"

    def is_refused() -> bool:
        other = yaml.safe_dump(models.build(endpoint={"host": "faq.other.models.example.com"}))
        try:
            models.kubectl("create", "--dry-run=server", "-f", "-", stdin=other)
        except KubectlError as error:
            return f"spec.endpoint.host must end with .{models.kubectl.namespace}.models.example.com" in str(error)
        return False

    wait_for(is_refused, "the policy to be in force")
    models.apply("own", endpoint={"host": own})
    models.apply("without", endpoint={})


@pytest.mark.usefixtures("gateway_api")
def test_sample_gateway_is_accepted(models: ScoringModels) -> None:
    body = yaml.safe_load((ROOT / "samples" / "platform" / "gateway.yaml").read_text())
    models.kubectl.apply({**body, "metadata": {**body["metadata"], "namespace": models.kubectl.namespace}})


@pytest.mark.usefixtures("gateway_api")
def test_http_route_of_somebody_else_keeps_the_host(models: ScoringModels, others: ScoringModels, host: str) -> None:
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "shop"},
        "spec": {"hostnames": [host], "parentRefs": [{"name": "public"}]},
    }
    others.kubectl("wait", "--for=condition=Established", "crd/httproutes.gateway.networking.k8s.io")
    wait_for(lambda: "httproutes" in others.kubectl("api-resources", "-o", "name"), "the kind to be served")
    others.kubectl.apply(route)
    models.apply(endpoint={"host": host, "gateway": {"name": "public", "namespace": "infra"}})
    assert f"HTTPRoute {others.kubectl.namespace}/shop has" in wait_for_route(models, "HostTaken")["message"]
    others.kubectl("delete", "httproute", "shop")
    wait_for_route(models, "GatewayNotFound")
    assert models.kubectl.find("httproute", "faq") is not None
