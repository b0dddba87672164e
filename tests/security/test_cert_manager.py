"""Models whose certificates a real cert-manager issues and renews, behind Ingresses of a real Traefik."""

import json
import os
from typing import Any

import pytest

from certificate_authorities import CertificateAuthority
from kubectl import Kubectl, Manifest
from local_clusters import run_local_cluster
from routed_models import BODY, TRAEFIK, TRAEFIK_SECONDS, serve, wait_for_route, wait_until_answered
from samples.demo.clusters import CLUSTER_NAME
from scoring_models import ScoringModels
from visitors import Visitor
from waiting import wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a real node needs root")

AUTHORITY = "authority"
"""The Secret with the authority in whose name the issuers issue; the visitor trusts it."""

CERTIFICATE_SECONDS = 60.0


def make_issuer(kind: str, name: str) -> Manifest:
    """Return an issuer that signs with the authority's key."""
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"ca": {"secretName": AUTHORITY}},
    }


@pytest.fixture(scope="module")
def certificates(models: ScoringModels, authority: CertificateAuthority) -> Kubectl:
    """Bring cert-manager to the cluster, with an Issuer in the models' namespace; return kubectl for that."""
    run_local_cluster("up", "--name", CLUSTER_NAME, "--with", "cert-manager")
    models.kubectl.apply(authority.hand_over(AUTHORITY), make_issuer("Issuer", "own"))
    return models.kubectl


@pytest.fixture(scope="module")
def issued(certificates: Kubectl, models: ScoringModels, image: str, visitor: Visitor, domain: str) -> str:
    """Serve a model `issued` with a certificate of the Issuer; return its URL."""
    del certificates
    return serve_over_https(
        models, image, visitor, "issued", {"host": f"issued.{domain}", "tls": {"issuer": {"name": "own"}}}
    )


def serve_over_https(models: ScoringModels, image: str, visitor: Visitor, name: str, endpoint: dict[str, Any]) -> str:
    """Serve a model behind Traefik, wait until it answers with a certificate to trust, and return its URL."""
    serve(models, image, name, {**endpoint, **TRAEFIK})
    wait_for_route(models, name)
    url: str = models.kubectl.get("scoringmodel", name)["status"]["url"]
    assert url == f"https://{endpoint['host']}"
    wait_until_answered(visitor, url)
    return url


def test_model_scores_with_a_certificate_that_an_issuer_has_made(
    certificates: Kubectl, visitor: Visitor, issued: str
) -> None:
    assert visitor.ask(f"{issued}/score", BODY).json["result"][0] == "hello"
    certificate = certificates.get("certificate", "issued-tls")["spec"]
    assert (certificate["dnsNames"], certificate["secretName"]) == ([issued.removeprefix("https://")], "issued-tls")
    assert certificates.get("secret", "issued-tls")["type"] == "kubernetes.io/tls"


def test_cluster_issuer_fills_the_secret_that_is_named(
    certificates: Kubectl,
    models: ScoringModels,
    authority: CertificateAuthority,
    image: str,
    visitor: Visitor,
    domain: str,
) -> None:
    issuer = make_issuer("ClusterIssuer", certificates.namespace)
    certificates.in_namespace("cert-manager").apply(authority.hand_over(AUTHORITY), issuer)
    tls = {"issuer": {"name": certificates.namespace, "kind": "ClusterIssuer"}, "secretName": "shared"}
    try:
        url = serve_over_https(models, image, visitor, "clustered", {"host": f"clustered.{domain}", "tls": tls})
        assert visitor.ask(f"{url}/score", BODY).status == 200
        assert certificates.get("secret", "shared")["type"] == "kubernetes.io/tls"
    finally:
        certificates("delete", "clusterissuer", certificates.namespace)


def test_renewed_certificate_is_shown(certificates: Kubectl, visitor: Visitor, issued: str) -> None:
    host = issued.removeprefix("https://")
    before = visitor.read_serial(host)
    # What `cmctl renew` does.
    wish = {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "a test wishes it"}
    conditions = certificates.get("certificate", "issued-tls")["status"]["conditions"]
    patch = json.dumps({"status": {"conditions": [*conditions, wish]}})
    certificates("patch", "certificate", "issued-tls", "--subresource=status", "--type=merge", "--patch", patch)
    wait_for(lambda: visitor.read_serial(host) != before, "another certificate", CERTIFICATE_SECONDS + TRAEFIK_SECONDS)
    assert visitor.ask(f"{issued}/score", BODY).status == 200


def test_certificate_goes_with_its_model(
    certificates: Kubectl, models: ScoringModels, image: str, visitor: Visitor, domain: str
) -> None:
    endpoint = {"host": f"passing.{domain}", "tls": {"issuer": {"name": "own"}}}
    serve_over_https(models, image, visitor, "passing", endpoint)
    assert certificates.find("certificate", "passing-tls")
    certificates("delete", "scoringmodel", "passing")
    wait_for(
        lambda: certificates.find("certificate", "passing-tls") is None, "the Certificate to go", CERTIFICATE_SECONDS
    )


def test_issuer_that_is_not_there_is_told_by_the_certificate(
    certificates: Kubectl, models: ScoringModels, image: str, domain: str
) -> None:
    endpoint = {"host": f"orphan.{domain}", "tls": {"issuer": {"name": "nobody"}}, **TRAEFIK}
    serve(models, image, "orphan", endpoint)
    wait_for(lambda: certificates.find("certificate", "orphan-tls"), "the Certificate", CERTIFICATE_SECONDS)
    wait_for(lambda: list_refusals(certificates), "the reason", CERTIFICATE_SECONDS)
    assert certificates.find("secret", "orphan-tls") is None
    certificates("delete", "scoringmodel", "orphan")


def list_refusals(certificates: Kubectl) -> list[str]:
    """Return what requests for certificates are told of the issuer that is not there."""
    requests = certificates.list("certificaterequest")
    conditions = [one for request in requests for one in request.get("status", {}).get("conditions", [])]
    return [one["message"] for one in conditions if '"nobody" not found' in one.get("message", "")]
