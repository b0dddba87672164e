from typing import Any

import pytest

from scoring_operator.api import Manifest
from scoring_operator.crds import build_crds
from scoring_operator.kinds import (
    DEPLOYMENT,
    HARDWARE_CLASS,
    MANAGER,
    NODE,
    POD,
    SCALED_OBJECT,
    SCORING_MODEL,
    SERVICE,
    Key,
    Kind,
)
from scoring_operator.packing import owns_replicas
from scoring_operator.store import REMEMBERED_DELETIONS, Store, find_address


def build(version: int, name: str = "faq", uid: str = "1", namespace: str | None = "team", **metadata: Any) -> Manifest:
    place = {} if namespace is None else {"namespace": namespace}
    return {"metadata": {"name": name, "uid": uid, "resourceVersion": str(version), **place, **metadata}}


def read_version(store: Store, name: str = "faq") -> int | None:
    body = store.get(DEPLOYMENT, "team", name)
    return None if body is None else int(body["metadata"]["resourceVersion"])


def replace(store: Store, kind: Kind, bodies: list[Manifest], resource_version: str) -> None:
    """Take over a full list, as the watches do."""
    for body in bodies:
        store.put(kind, body)
    for body in store.find_unlisted(kind, None, map(find_address, bodies), resource_version):
        store.remove(kind, body)


@pytest.fixture
def store() -> Store:
    store = Store()
    store.put(DEPLOYMENT, build(10))
    return store


def test_get_answers_none_for_what_was_never_seen() -> None:
    store = Store()
    assert store.get(DEPLOYMENT, "team", "faq") is None
    assert store.select(DEPLOYMENT) == []
    assert store.select_of(POD, Key("team", "faq")) == []


@pytest.mark.parametrize(("version", "kept"), [(9, 10), (10, 10), (11, 11), (100, 100), (2, 10)])
def test_older_version_never_replaces_a_newer_one(store: Store, version: int, kept: int) -> None:
    store.put(DEPLOYMENT, build(version))
    assert read_version(store) == kept


def test_list_that_is_newer_than_what_is_known_is_right_about_older_objects(store: Store) -> None:
    """After etcd was put back, with its versions raised, what was changed since the snapshot is as it was before."""
    assert not store.put(DEPLOYMENT, build(8), listed_at=9), "a list that began before our write"
    assert not store.put(DEPLOYMENT, build(10), listed_at=500), "no news"
    assert store.put(DEPLOYMENT, build(8), listed_at=500)
    assert read_version(store) == 8
    store.remove(DEPLOYMENT, build(20))
    assert not store.put(DEPLOYMENT, build(8), listed_at=19), "a list that began before it was deleted"
    assert store.put(DEPLOYMENT, build(8), listed_at=500), "deleted after the snapshot"


def test_objects_are_apart_by_kind_namespace_and_name(store: Store) -> None:
    store.put(SERVICE, build(1))
    store.put(DEPLOYMENT, build(2, namespace="other", uid="2"))
    store.put(DEPLOYMENT, build(3, name="resnet", uid="3"))
    assert read_version(store) == 10
    assert len(store.select(DEPLOYMENT)) == 3
    assert len(store.select(SERVICE)) == 1


def test_cluster_scoped_object_is_found_without_namespace() -> None:
    store = Store()
    store.put(HARDWARE_CLASS, build(1, "cpu", namespace=None))
    assert store.get(HARDWARE_CLASS, None, "cpu") is not None


def test_deleted_object_is_gone(store: Store) -> None:
    store.remove(DEPLOYMENT, build(11))
    assert read_version(store) is None


def test_deletion_of_something_unknown_is_fine() -> None:
    Store().remove(DEPLOYMENT, build(11))


def test_late_answer_does_not_bring_a_deleted_object_back(store: Store) -> None:
    store.remove(DEPLOYMENT, build(12))
    assert not store.put(DEPLOYMENT, build(11))
    assert read_version(store) is None


def test_object_that_lost_its_label_comes_back_with_it(store: Store) -> None:
    """A watch that selects by the label tells of the loss as of a deletion, with the same uid."""
    store.remove(DEPLOYMENT, build(12))
    assert store.put(DEPLOYMENT, build(13))
    assert read_version(store) == 13


def test_echo_of_a_write_is_no_news(store: Store) -> None:
    assert store.put(DEPLOYMENT, build(11))
    assert not store.put(DEPLOYMENT, build(11))


def test_list_read_before_a_deletion_does_not_bring_the_object_back(store: Store) -> None:
    store.remove(DEPLOYMENT, build(11))
    replace(store, DEPLOYMENT, [build(10)], "10")
    assert read_version(store) is None


def test_object_created_again_under_the_same_name_takes_its_place(store: Store) -> None:
    store.remove(DEPLOYMENT, build(11))
    store.put(DEPLOYMENT, build(12, uid="2"))
    assert read_version(store) == 12


def test_late_deletion_leaves_the_object_that_was_created_since(store: Store) -> None:
    store.put(DEPLOYMENT, build(12, uid="2"))
    store.remove(DEPLOYMENT, build(11, uid="1"))
    assert read_version(store) == 12


def test_full_list_replaces_what_was_known(store: Store) -> None:
    store.put(DEPLOYMENT, build(11, "gone", "2"))
    replace(store, DEPLOYMENT, [build(15), build(16, "new", "3")], "20")
    assert read_version(store) == 15
    assert read_version(store, "gone") is None
    assert read_version(store, "new") == 16


def test_full_list_keeps_the_object_it_shows_unchanged(store: Store) -> None:
    replace(store, DEPLOYMENT, [build(10)], "20")
    assert read_version(store) == 10


def test_full_list_leaves_what_is_newer_than_itself(store: Store) -> None:
    store.put(DEPLOYMENT, build(30))
    store.put(DEPLOYMENT, build(31, "new", "2"))
    replace(store, DEPLOYMENT, [build(10)], "20")
    assert read_version(store) == 30
    assert read_version(store, "new") == 31


def test_full_list_leaves_other_kinds_alone(store: Store) -> None:
    replace(store, SERVICE, [], "20")
    assert read_version(store) == 10


def test_empty_list_empties_the_kind(store: Store) -> None:
    replace(store, DEPLOYMENT, [], "20")
    assert store.select(DEPLOYMENT) == []


def test_managed_fields_are_not_kept_and_the_given_object_is_not_changed() -> None:
    store, body = Store(), build(1, managedFields=[{"manager": "kubectl"}], labels={"a": "b"})
    store.put(DEPLOYMENT, body)
    kept = store.get(DEPLOYMENT, "team", "faq")
    assert kept is not None
    assert "managedFields" not in kept["metadata"]
    assert kept["metadata"]["labels"] == {"a": "b"}
    assert "managedFields" in body["metadata"]


def test_status_that_the_crd_gives_an_unseen_model_counts_as_none() -> None:
    store = Store()
    (version,) = build_crds()["scoringmodels.yaml"]["spec"]["versions"]
    default = version["schema"]["openAPIV3Schema"]["properties"]["status"]["default"]
    store.put(SCORING_MODEL, {**build(1), "status": default})
    kept = store.get(SCORING_MODEL, "team", "faq")
    assert kept is not None
    assert "status" not in kept


def test_select_of_finds_the_pods_of_one_model_only() -> None:
    store = Store()
    for number, (namespace, labels) in enumerate(
        [
            ("team", {"scoring.dev/model": "faq"}),
            ("team", {"scoring.dev/model": "faq"}),
            ("team", {"scoring.dev/model": "other"}),
            ("other", {"scoring.dev/model": "faq"}),
            ("team", {}),
        ]
    ):
        store.put(POD, build(number, f"pod-{number}", str(number), namespace, labels=labels))
    store.put(POD, build(9, "bare", "9"))
    names = {body["metadata"]["name"] for body in store.select_of(POD, Key("team", "faq"))}
    assert names == {"pod-0", "pod-1"}


def test_remembered_deletions_are_bounded_and_the_newest_are_kept(store: Store) -> None:
    for number in range(REMEMBERED_DELETIONS + 5):
        store.remove(DEPLOYMENT, build(12, uid=f"old-{number}"))
    assert not store.put(DEPLOYMENT, build(11, uid=f"old-{REMEMBERED_DELETIONS + 4}"))
    assert read_version(store) == 10


def test_pods_of_others_keep_only_what_tells_their_requests() -> None:
    store = Store()
    resources = {"requests": {"cpu": "1"}}
    containers = [{"name": "app", "image": "app:1", "resources": resources}]
    spec = {"nodeName": "node", "containers": containers, "volumes": [{"name": "secret"}]}
    store.put(POD, {**build(1), "spec": spec, "status": {"phase": "Running", "podIP": "10.0.0.1"}})
    kept = store.get(POD, "team", "faq")
    assert kept is not None
    assert kept["spec"] == {"nodeName": "node", "containers": [{"resources": resources}]}
    assert kept["status"] == {"phase": "Running", "conditions": []}


def test_nodes_keep_only_what_tells_their_room() -> None:
    store = Store()
    taints = [{"key": "gpu", "effect": "NoSchedule"}]
    conditions = [{"type": "Ready", "status": "True", "lastHeartbeatTime": "now"}, {"type": "Other", "status": "True"}]
    status = {"allocatable": {"cpu": "4"}, "images": [{"names": ["app:1"]}], "conditions": conditions}
    store.put(NODE, {**build(1, namespace=None), "spec": {"taints": taints, "podCIDR": "x"}, "status": status})
    kept = store.get(NODE, None, "faq")
    assert kept is not None
    assert kept["spec"] == {"taints": taints}
    assert kept["status"] == {"allocatable": {"cpu": "4"}, "conditions": [{"type": "Ready", "status": "True"}]}


def test_kind_that_is_no_longer_served_is_forgotten() -> None:
    store = Store()
    assert store.is_served(DEPLOYMENT)
    assert not store.is_served(SCALED_OBJECT)
    assert store.serve(frozenset({SCALED_OBJECT}))
    assert not store.serve(frozenset({SCALED_OBJECT}))
    store.put(SCALED_OBJECT, build(1))
    assert store.serve(frozenset())
    assert store.select(SCALED_OBJECT) == []


def test_of_managed_fields_only_our_hold_on_replicas_is_kept() -> None:
    store = Store()
    fields: Manifest = {"f:spec": {"f:replicas": {}, "f:selector": {}}}
    for version, manager in enumerate(("kube-controller-manager", MANAGER)):
        store.put(DEPLOYMENT, build(version, managedFields=[{"manager": manager, "fieldsV1": fields}]))
        kept = store.get(DEPLOYMENT, "team", "faq")
        assert kept is not None
        assert owns_replicas(kept) is (manager == MANAGER)


def test_of_a_pods_spec_only_what_is_told_about_is_kept() -> None:
    store = Store()
    spec = {"nodeName": "a", "volumes": [], "containers": [{"name": "runtime", "env": [], "resources": {}}]}
    store.put(POD, {**build(1, labels={"scoring.dev/model": "faq"}), "spec": spec})
    kept = store.get(POD, "team", "faq")
    assert kept is not None
    assert kept["spec"] == {"nodeName": "a", "containers": [{"name": "runtime", "resources": {}}]}


def test_pod_that_changes_its_label_changes_its_model() -> None:
    store = Store()
    for version, model in enumerate(("faq", "other")):
        store.put(POD, build(version, "pod", labels={"scoring.dev/model": model}))
    assert store.select_of(POD, Key("team", "faq")) == []
    assert len(store.select_of(POD, Key("team", "other"))) == 1
    store.remove(POD, build(2, "pod"))
    assert store.select_of(POD, Key("team", "other")) == []


def test_what_a_list_lacks_is_found_unless_it_is_newer(store: Store) -> None:
    store.put(DEPLOYMENT, build(11, "gone", "2"))
    store.put(DEPLOYMENT, build(21, "new", "3"))
    (gone,) = store.find_unlisted(DEPLOYMENT, None, [("team", "faq")], "20")
    assert gone["metadata"]["name"] == "gone"


def test_what_is_done_to_an_object_does_not_change_the_store(store: Store) -> None:
    body = store.get(DEPLOYMENT, "team", "faq")
    assert body is not None
    body["metadata"]["resourceVersion"] = "99"
    assert read_version(store) == 10


def test_list_of_one_namespace_says_nothing_of_another(store: Store) -> None:
    store.put(DEPLOYMENT, build(11, "other", "2", namespace="other"))
    (gone,) = store.find_unlisted(DEPLOYMENT, "other", [], "20")
    assert gone["metadata"]["name"] == "other"
