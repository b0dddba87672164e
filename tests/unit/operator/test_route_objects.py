"""What the operator watches and keeps of routes, and of what takes them."""

from typing import Any

import pytest

from scoring_operator.api import Manifest
from scoring_operator.kinds import (
    DEPLOYMENT,
    GATEWAY,
    HTTP_ROUTE,
    INGRESS,
    INGRESS_CLASS,
    REDIRECT,
    WATCHED,
    Kind,
    Scope,
)
from scoring_operator.store import Store

METADATA = {"name": "shop", "namespace": "web", "uid": "1", "resourceVersion": "5"}
SPEC = {"rules": [{"host": "a.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix"}]}}]}


@pytest.mark.parametrize(
    ("kind", "namespaces"),
    [(INGRESS, ("team",)), (HTTP_ROUTE, ("team",)), (GATEWAY, (None,)), (INGRESS_CLASS, (None,))],
)
def test_routes_are_watched_where_models_are_served_and_what_takes_them_everywhere(
    kind: Kind, namespaces: tuple[str | None, ...]
) -> None:
    assert Scope(("team",)).find_namespaces(kind) == namespaces
    assert Scope().find_namespaces(kind) == (None,)


def test_routes_of_others_are_watched_too_and_other_children_are_not() -> None:
    scope = Scope()
    assert (scope.find_selector(INGRESS), scope.find_selector(HTTP_ROUTE)) == (None, None)
    assert scope.find_selector(DEPLOYMENT) == "app.kubernetes.io/managed-by=scoring-operator"


def test_both_http_routes_of_a_model_are_of_one_watch_and_one_store() -> None:
    assert REDIRECT not in WATCHED
    store = Store()
    store.serve(frozenset({HTTP_ROUTE}))
    assert store.is_served(REDIRECT)
    store.put(REDIRECT, {"metadata": {**METADATA, "name": "faq.redirect"}, "spec": {}})
    assert store.has(HTTP_ROUTE, "web", "faq.redirect")
    store.remove(REDIRECT, {"metadata": {**METADATA, "name": "faq.redirect"}})
    assert not store.has(HTTP_ROUTE, "web", "faq.redirect")


def keep(kind: Kind, body: Manifest) -> Any:
    """Return what the store keeps of an object."""
    store = Store()
    store.put(kind, body)
    return store.get(kind, body["metadata"]["namespace"], body["metadata"]["name"])


def test_nothing_but_the_name_is_kept_of_somebody_elses_route() -> None:
    others = {"metadata": {**METADATA, "annotations": {"a": "b"}}, "spec": SPEC, "status": {"loadBalancer": {}}}
    assert keep(INGRESS, others) == {"metadata": METADATA}


def test_our_own_route_is_kept_as_it_is() -> None:
    ours = {"metadata": {**METADATA, "labels": {"scoring.dev/model": "shop"}}, "spec": SPEC}
    assert keep(INGRESS, ours) == ours


def test_listeners_and_conditions_are_kept_of_a_gateway_and_not_how_many_routes_it_has() -> None:
    condition = {"type": "Programmed", "status": "True", "reason": "Programmed", "message": "It works."}
    listener = {"name": "https", "protocol": "HTTPS", "hostname": "*.example.com"}
    gateway = {
        "metadata": {**METADATA, "generation": 2},
        "spec": {"gatewayClassName": "x", "listeners": [{**listener, "port": 443, "allowedRoutes": {}}]},
        "status": {
            "conditions": [{**condition, "lastTransitionTime": "2026-11-26T00:00:00Z"}],
            "listeners": [{"name": "https", "attachedRoutes": 7}],
        },
    }
    expected = {"metadata": METADATA, "spec": {"listeners": [listener]}, "status": {"conditions": [condition]}}
    assert keep(GATEWAY, gateway) == expected
