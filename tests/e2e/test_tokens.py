"""Tokens of a real issuer: the cluster itself, which issues them to ServiceAccounts, for a model in a real pod."""

import json
from collections.abc import Iterator

import httpx
import pytest

from endpoints import find_address
from kubectl import Kubectl
from scoring_models import ScoringModels
from waiting import wait_for

NAME = "tokened"
CALLER, STRANGER = "shop", "stranger"
QUESTION = {"input": "How do I parse JSON?"}

DISCOVERY = "scoring-e2e-issuer-discovery"
"""Binding by which the issuer's public keys may be read by everybody, as docs/access.md has it."""


@pytest.fixture(scope="module")
def tokened(models: ScoringModels) -> Iterator[Kubectl]:
    """Yield kubectl for the namespace of a model that lets one ServiceAccount in, and has another beside it."""
    kubectl = models.kubectl
    role = "--clusterrole=system:service-account-issuer-discovery"
    kubectl("create", "clusterrolebinding", DISCOVERY, role, "--group=system:unauthenticated")
    try:
        for name in (CALLER, STRANGER):
            kubectl("create", "serviceaccount", name)
        issuer = json.loads(kubectl("get", "--raw", "/.well-known/openid-configuration"))["issuer"]
        address = kubectl.in_namespace("default").get("service", "kubernetes")["spec"]["clusterIP"]
        jwt = {
            "issuer": issuer,
            "jwksUri": f"https://{address}/openid/v1/jwks",
            "audiences": [NAME],
            "requiredClaims": {"sub": [name_account(kubectl, CALLER)]},
            "caBundle": {"configMapName": "kube-root-ca.crt"},
        }
        model = {"uri": "pvc://models/faq/javascript-faq.tar", "format": "sklearn"}
        models.apply(NAME, hardwareClass="e2e-small", model=model, endpoint={"jwt": jwt})
        models.wait_until_ready(NAME, timeout_seconds=120)
        yield kubectl
        kubectl("delete", "scoringmodel", NAME)
    finally:
        kubectl("delete", "clusterrolebinding", DISCOVERY)


def name_account(kubectl: Kubectl, account: str) -> str:
    """Return the claim `sub` of a ServiceAccount's tokens."""
    return f"system:serviceaccount:{kubectl.namespace}:{account}"


def make_token(kubectl: Kubectl, account: str, audience: str = NAME) -> str:
    """Return a token of a ServiceAccount, as a pod of it would find one mounted."""
    return kubectl("create", "token", account, "--audience", audience).strip()


def ask(kubectl: Kubectl, token: str | None) -> httpx.Response:
    """Return the answer to a question."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{find_address(kubectl, NAME)}/score", json=QUESTION, headers=headers, timeout=30)


def read_log(kubectl: Kubectl) -> str:
    """Return what the model's pods have logged."""
    return kubectl("logs", "-l", f"scoring.dev/model={NAME}", "--tail=-1")


def test_account_that_is_named_is_let_in_and_told_in_the_log_without_its_token(tokened: Kubectl) -> None:
    token = make_token(tokened, CALLER)
    answer = ask(tokened, token)
    assert answer.status_code == 200, answer.text
    wait_for(lambda: name_account(tokened, CALLER) in read_log(tokened), "the caller in the log", 30)
    assert not any(part in read_log(tokened) for part in token.split("."))


def test_another_account_is_known_but_not_let_in(tokened: Kubectl) -> None:
    answer = ask(tokened, make_token(tokened, STRANGER))
    assert answer.status_code == 403
    assert "claim sub does not allow this" in answer.json()["error"]["message"]


def test_tokens_for_others_changed_ones_and_none_are_refused(tokened: Kubectl) -> None:
    elsewhere = make_token(tokened, CALLER, "somebody-else")
    head, claims, signature = make_token(tokened, CALLER).split(".")
    changed = ".".join([head, claims, signature[::-1]])
    assert [ask(tokened, token).status_code for token in (elsewhere, changed, "nonsense", None)] == [401] * 4
