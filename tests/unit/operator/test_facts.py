"""What is read of the objects of a kind: once for each version, and of those alone that are still there."""

from scoring_operator.api import Manifest
from scoring_operator.facts import Facts
from scoring_operator.kinds import NODE
from scoring_operator.store import Store


def build_node(name: str, version: int) -> Manifest:
    return {"metadata": {"name": name, "uid": name, "resourceVersion": str(version)}}


def test_each_version_is_read_once_and_what_is_gone_counts_no_more() -> None:
    store, read = Store(), list[str]()

    def read_name(body: Manifest) -> str:
        read.append(f"{body['metadata']['name']}{body['metadata']['resourceVersion']}")
        return read[-1]

    facts = Facts(store, NODE, read_name)
    store.put(NODE, build_node("a", 1))
    store.put(NODE, build_node("b", 2))
    assert facts.select() == facts.select() == ["a1", "b2"]
    assert read == ["a1", "b2"]
    store.put(NODE, build_node("a", 3))
    assert facts.select() == ["a3", "b2"]
    store.remove(NODE, build_node("b", 4))
    assert facts.select() == ["a3"]
    assert read == ["a1", "b2", "a3"]
