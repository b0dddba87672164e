"""What is read of each object of a kind, once for each of its versions: to read thousands again for each change of one is most of the work."""

from collections.abc import Callable
from typing import Generic, TypeVar

from scoring_operator.api import Manifest
from scoring_operator.kinds import Kind
from scoring_operator.store import Store

Fact = TypeVar("Fact")


class Facts(Generic[Fact]):
    """The facts of all objects of one kind in the store."""

    def __init__(self, store: Store, kind: Kind, read: Callable[[Manifest], Fact]) -> None:
        self._store = store
        self._kind = kind
        self._read = read
        self._known: dict[str, tuple[int, Fact]] = {}

    def select(self) -> list[Fact]:
        """Return the fact of each object that the store has now."""
        known, self._known = self._known, {}
        for kept in self._store.select_kept(self._kind):
            version, fact = known.get(kept.uid, (None, None))
            if fact is None or version != kept.version:
                fact = self._read(kept.unpack())
            self._known[kept.uid] = kept.version, fact
        return [fact for _, fact in self._known.values()]
