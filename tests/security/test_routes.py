"""Models in real pods behind a real Traefik, as its Ingresses and at its Gateway, asked by curl with verification of certificates on."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from certificate_authorities import CertificateAuthority
from routed_models import BODY, TRAEFIK, TRAEFIK_SECONDS, serve, wait_for_route, wait_until_answered
from scoring_models import ScoringModels, open_namespace
from visitors import VisitFailed, Visitor
from waiting import wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a real node needs root")

UNTRUSTED = 60
"""curl's exit code for a certificate that it cannot verify."""

PERMANENT = {301, 308}
"""Statuses of a redirect: the Gateway API's is 301, and Traefik's own keeps the method of a POST by 308."""


@pytest.fixture(scope="module")
def gateway(models: ScoringModels, authority: CertificateAuthority, visitor: Visitor, domain: str) -> dict[str, Any]:
    """Make a Gateway with listeners for HTTP and HTTPS at Traefik's entry points; return how a model names it."""
    secret, _ = authority.issue("gateway-cert", f"*.{domain}")
    listeners = [
        {"name": "http", "port": visitor.http_port, "protocol": "HTTP"},
        {
            "name": "https",
            "port": visitor.https_port,
            "protocol": "HTTPS",
            "tls": {"certificateRefs": [{"name": "gateway-cert"}]},
        },
    ]
    body = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "public"},
        "spec": {"gatewayClassName": "traefik", "listeners": listeners},
    }
    models.kubectl.apply(secret, body)
    return {"name": "public", "sectionName": "https", "redirectSectionName": "http"}


@pytest.fixture(scope="module")
def behind_ingress(
    models: ScoringModels, image: str, authority: CertificateAuthority, visitor: Visitor, domain: str
) -> str:
    """Serve a model behind an Ingress with a certificate of ours; return its URL."""
    host = f"ingress.{domain}"
    secret, _ = authority.issue("ingress-cert", host)
    models.kubectl.apply(secret)
    serve(
        models, image, "ingress", {"host": host, "path": "/team/echo", "tls": {"secretName": "ingress-cert"}, **TRAEFIK}
    )
    wait_for_route(models, "ingress")
    url: str = models.kubectl.get("scoringmodel", "ingress")["status"]["url"]
    assert url == f"https://{host}/team/echo"
    wait_until_answered(visitor, url)
    return url


@pytest.fixture(scope="module")
def behind_gateway(models: ScoringModels, image: str, gateway: dict[str, Any], visitor: Visitor, domain: str) -> str:
    """Serve a model at the Gateway; return its URL."""
    serve(models, image, "gateway", {"host": f"gateway.{domain}", "gateway": gateway})
    wait_for_route(models, "gateway")
    url: str = models.kubectl.get("scoringmodel", "gateway")["status"]["url"]
    assert url == f"https://gateway.{domain}"
    wait_until_answered(visitor, url)
    return url


@pytest.fixture(params=["behind_ingress", "behind_gateway"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a model, behind each kind of route."""
    found: str = request.getfixturevalue(request.param)
    return found


def test_model_scores_over_https_with_a_verified_certificate(visitor: Visitor, url: str) -> None:
    answer = visitor.ask(f"{url}/score", BODY)
    assert answer.status == 200
    assert answer.json["result"][0] == "hello"


def test_certificate_of_an_unknown_authority_is_not_trusted(visitor: Visitor, url: str, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    other.write_text(CertificateAuthority().certificate)
    with pytest.raises(VisitFailed) as failed:
        Visitor(visitor.http_port, visitor.https_port, other).ask(f"{url}/readyz")
    assert failed.value.code == UNTRUSTED


def test_http_is_redirected_to_https_and_answers_nothing_itself(visitor: Visitor, url: str) -> None:
    plain = url.replace("https://", "http://")
    answer = visitor.ask(f"{plain}/score?x=1", BODY)
    assert answer.status in PERMANENT
    assert answer.location == f"{url}/score?x=1"
    assert "result" not in answer.text
    followed = visitor.ask(f"{plain}/score", BODY, is_following=True)
    assert (followed.status, followed.url) == (200, f"{url}/score")


def test_other_hosts_and_paths_lead_nowhere(visitor: Visitor, behind_ingress: str, domain: str) -> None:
    assert visitor.ask(f"https://ingress.{domain}/score", BODY).status == 404
    assert visitor.ask(f"{behind_ingress}s/readyz").status == 404
    with pytest.raises(VisitFailed) as failed:
        visitor.ask("https://other.example.com/readyz")
    assert failed.value.code == UNTRUSTED


def test_metrics_are_not_told_to_visitors(visitor: Visitor, url: str) -> None:
    answer = visitor.ask(f"{url}/metrics")
    assert answer.status == 403
    assert "scoring_requests_total" not in answer.text


@pytest.mark.parametrize(
    ("fixture", "secret", "host"),
    [("behind_ingress", "ingress-cert", "ingress.{}"), ("behind_gateway", "gateway-cert", "*.{}")],
)
def test_renewed_certificate_is_followed_while_answers_go_on(
    request: pytest.FixtureRequest,
    models: ScoringModels,
    authority: CertificateAuthority,
    visitor: Visitor,
    domain: str,
    fixture: str,
    secret: str,
    host: str,
) -> None:
    url: str = request.getfixturevalue(fixture)
    name = url.split("/")[2]
    renewed, serial = authority.issue(secret, host.format(domain))
    failures: list[str] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                status = visitor.ask(f"{url}/readyz").status
                failures.extend([str(status)] if status != 200 else [])
            except VisitFailed as error:
                failures.append(str(error))

    thread = threading.Thread(target=keep_asking)
    thread.start()
    try:
        assert visitor.read_serial(name) != serial
        models.kubectl.apply(renewed)
        wait_for(lambda: visitor.read_serial(name) == serial, "the new certificate", TRAEFIK_SECONDS)
    finally:
        stop.set()
        thread.join()
    assert failures == []


def test_second_model_of_a_host_takes_nothing_from_the_first_and_gets_it_when_that_goes(
    models: ScoringModels, image: str, visitor: Visitor, gateway: dict[str, Any], domain: str
) -> None:
    endpoint = {"host": f"shared.{domain}", "gateway": gateway}
    url = f"https://shared.{domain}"
    serve(models, image, "first", endpoint)
    wait_for_route(models, "first")
    wait_until_answered(visitor, url)
    serve(models, image, "second", endpoint)
    taken = wait_for_route(models, "second", "HostTaken")
    assert f"ScoringModel {models.kubectl.namespace}/first has shared.{domain}/ already" in taken["message"]
    assert visitor.ask(f"{url}/v2/models/first").status == 200
    assert visitor.ask(f"{url}/v2/models/second").status == 404
    models.kubectl("delete", "scoringmodel", "first")
    wait_for_route(models, "second")
    wait_for(lambda: visitor.ask(f"{url}/v2/models/second").status == 200, "the second model", TRAEFIK_SECONDS)
    models.kubectl("delete", "scoringmodel", "second")


def test_listener_that_lets_the_namespace_not_in_is_told_in_traefiks_words(
    models: ScoringModels, image: str, gateway: dict[str, Any], domain: str
) -> None:
    """The Gateway lets routes of its own namespace in only."""
    with open_namespace(models.kubectl, "routes-others") as others:
        elsewhere = {**gateway, "namespace": models.kubectl.namespace}
        serve(others, image, "refused", {"host": f"refused.{domain}", "gateway": elsewhere})
        refused = wait_for_route(others, "refused", "RouteRefused")
        assert "NotAllowedByListeners" in refused["message"]
        assert others.find_ready("refused")["status"] == "True"


def test_model_moves_from_ingress_to_gateway(
    models: ScoringModels,
    image: str,
    visitor: Visitor,
    gateway: dict[str, Any],
    authority: CertificateAuthority,
    domain: str,
) -> None:
    host = f"moving.{domain}"
    secret, serial = authority.issue("moving-cert", host)
    models.kubectl.apply(secret)
    serve(models, image, "moving", {"host": host, "tls": {"secretName": "moving-cert"}, **TRAEFIK})
    wait_for_route(models, "moving")
    wait_until_answered(visitor, f"https://{host}")
    assert visitor.read_serial(host) == serial
    serve(models, image, "moving", {"host": host, "gateway": gateway})
    wait_for_route(models, "moving")
    assert models.kubectl.find("ingress", "moving") is None
    wait_for(lambda: visitor.read_serial(host) != serial, "the Gateway's certificate", TRAEFIK_SECONDS)
    wait_until_answered(visitor, f"https://{host}")
    models.kubectl("delete", "scoringmodel", "moving")
