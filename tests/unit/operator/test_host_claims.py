"""Who has a host and path when several want it: models of any namespace, and Ingresses and HTTPRoutes of somebody else."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring_operator.api import Manifest
from scoring_operator.exposure import find_claiming_models, find_rival
from scoring_operator.host_claims import find_places
from scoring_operator.kinds import HTTP_ROUTE, INGRESS, SCORING_MODEL, Key, Kind
from scoring_operator.store import Store

HOST = "faq.example.com"
VERSIONS = iter(range(1, 10_000))


def build_model(name: str, namespace: str = "team", created: str = "2026-11-01T00:00:00Z", **endpoint: Any) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}", "creationTimestamp": created}
    endpoint = {"host": HOST, **endpoint}
    return {"metadata": {**metadata, "resourceVersion": str(next(VERSIONS))}, "spec": {"endpoint": endpoint}}


def build_other(kind: Kind, name: str, spec: Manifest, **metadata: Any) -> Manifest:
    identity = {"name": name, "namespace": "web", "uid": f"{kind.name}/{name}", "resourceVersion": str(next(VERSIONS))}
    return {"metadata": {**identity, **metadata}, "spec": spec}


def build_ingress(path: str = "/", **metadata: Any) -> Manifest:
    paths = {"paths": [{"path": path, "pathType": "Prefix"}]}
    return build_other(INGRESS, "shop", {"rules": [{"host": HOST, "http": paths}]}, **metadata)


def put(store: Store, *models: Manifest) -> None:
    for body in models:
        store.put(SCORING_MODEL, body)


@pytest.fixture
def store() -> Store:
    return Store()


def test_oldest_model_has_the_host_whatever_its_namespace(store: Store) -> None:
    old, young = build_model("b", "other"), build_model("a", created="2026-11-02T00:00:00Z")
    put(store, old, young)
    assert find_rival(store, old) is None
    assert find_rival(store, young) == "ScoringModel other/b"


def test_model_that_has_the_host_keeps_it_from_an_older_one_that_comes_later(store: Store) -> None:
    old, young = build_model("old"), build_model("young", created="2026-11-02T00:00:00Z")
    young["status"] = {"url": f"https://{HOST}"}
    put(store, old, young)
    assert find_rival(store, young) is None
    assert find_rival(store, old) == "ScoringModel team/young"


def test_models_of_the_same_second_are_told_apart_by_name(store: Store) -> None:
    first, second = build_model("a"), build_model("b")
    put(store, second, first)
    assert (find_rival(store, first), find_rival(store, second)) == (None, "ScoringModel team/a")


@pytest.mark.parametrize("other", [{"path": "/faq"}, {"host": "other.example.com"}])
def test_another_path_or_host_is_no_conflict(store: Store, other: dict[str, str]) -> None:
    first, second = build_model("a"), build_model("b", **other)
    put(store, first, second)
    assert (find_rival(store, first), find_rival(store, second)) == (None, None)


def test_conflict_ends_when_the_other_goes_or_moves(store: Store) -> None:
    first, second = build_model("a"), build_model("b")
    put(store, first, second)
    put(store, build_model("a", path="/elsewhere"))
    assert find_rival(store, second) is None
    put(store, build_model("a"))
    assert find_rival(store, second) is not None
    store.remove(SCORING_MODEL, build_model("a"))
    assert find_rival(store, second) is None


def test_ingress_of_somebody_else_comes_before_a_model_that_has_not_the_host_yet(store: Store) -> None:
    model = build_model("a")
    put(store, model)
    store.put(INGRESS, build_ingress("/"))
    assert find_rival(store, model) == "Ingress web/shop"
    model["status"] = {"url": f"http://{HOST}"}
    assert find_rival(store, model) is None


def test_child_of_a_model_is_no_rival(store: Store) -> None:
    owner = {"apiVersion": "scoring.dev/v1beta1", "kind": "ScoringModel", "name": "a", "uid": "1", "controller": True}
    model = build_model("a")
    put(store, model)
    store.put(INGRESS, build_ingress(ownerReferences=[owner]))
    assert find_rival(store, model) is None


def test_routes_go_with_their_kind(store: Store) -> None:
    store.serve(frozenset({HTTP_ROUTE}))
    model = build_model("a")
    put(store, model)
    store.put(HTTP_ROUTE, build_other(HTTP_ROUTE, "shop", {"hostnames": [HOST]}))
    assert find_rival(store, model) == "HTTPRoute web/shop"
    store.serve(frozenset())
    assert find_rival(store, model) is None


def test_models_that_claim_a_place_are_found(store: Store) -> None:
    put(store, build_model("a"), build_model("b", "other"), build_model("c", path="/c"))
    store.put(INGRESS, build_ingress())
    found = find_claiming_models(store, frozenset({(HOST, "/"), ("nobody.example.com", "/")}))
    assert set(found) == {Key("team", "a"), Key("other", "b")}


@pytest.mark.parametrize(
    ("kind", "spec", "places"),
    [
        (INGRESS, {"rules": [{"host": HOST}, {"http": {"paths": [{"path": "/", "pathType": "Prefix"}]}}]}, set()),
        (INGRESS, {"defaultBackend": {}}, set()),
        (INGRESS, {"rules": [{"host": HOST, "http": {"paths": [{"path": "/a/", "pathType": "Prefix"}]}}]}, {"/a"}),
        (INGRESS, {"rules": [{"host": HOST, "http": {"paths": [{"path": "/a", "pathType": "Exact"}]}}]}, set()),
        (INGRESS, {"rules": [{"host": HOST, "http": {"paths": [{"pathType": "ImplementationSpecific"}]}}]}, {"/"}),
        (HTTP_ROUTE, {"hostnames": [HOST]}, {"/"}),
        (HTTP_ROUTE, {"rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/a"}}]}]}, set()),
        (HTTP_ROUTE, {"hostnames": [HOST], "rules": [{"matches": [{"path": {"value": "/a"}}, {}]}]}, {"/a", "/"}),
        (HTTP_ROUTE, {"hostnames": [HOST], "rules": [{"matches": [{"path": {"type": "Exact", "value": "/"}}]}]}, set()),
        (HTTP_ROUTE, {"hostnames": [HOST], "rules": [{"matches": [{"headers": [{"name": "x"}]}]}]}, set()),
    ],
)
def test_only_prefixes_of_named_hosts_are_claimed(kind: Kind, spec: Manifest, places: set[str]) -> None:
    assert set(find_places(kind, {"spec": spec})) == {(HOST, path) for path in places}


@pytest.mark.parametrize("endpoint", [None, "x", {}, {"host": None}, {"host": ["a"]}, {"host": HOST, "path": 1}])
def test_model_of_any_content_can_be_looked_at(store: Store, endpoint: Any) -> None:
    body = {**build_model("a"), "spec": {"endpoint": endpoint}}
    put(store, body)
    assert find_rival(store, body) is None


steps = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["/", "/x", None])), max_size=12)


@given(steps=steps)
def test_exactly_one_model_has_each_place_whatever_came_before(steps: list[tuple[str, str | None]]) -> None:
    store = Store()
    living: dict[str, Manifest] = {}
    for name, path in steps:
        known = living.pop(name, None)
        if path is not None:
            living[name] = build_model(name, path=path)
            put(store, living[name])
        elif known is not None:
            store.remove(SCORING_MODEL, known)

    def list_winners(path: str) -> Iterator[str]:
        for name, body in living.items():
            if body["spec"]["endpoint"]["path"] == path and find_rival(store, body) is None:
                yield name

    for path in {body["spec"]["endpoint"]["path"] for body in living.values()}:
        assert len(list(list_winners(path))) == 1
