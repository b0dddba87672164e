"""Whose turn it is to follow a change that concerns many models: of their hardware class, or of the operator's images.

At most a share of a class's models roll out at the same time. One that does not come up keeps its place, so that a change that breaks models
stops by itself.
"""

import math
from dataclasses import dataclass, field

from scoring_operator.kinds import Key


@dataclass
class Turns:
    """The models of one class that roll out, and those that wait for it, in the order in which they came."""

    limit: int = 1
    rolling: set[Key] = field(default_factory=set)
    waiting: dict[Key, None] = field(default_factory=dict)


class Rollouts:
    """Turns of the models, by hardware class."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._turns: dict[str, Turns] = {}

    def begin(self, key: Key, hardware_class: str, models: int) -> bool:
        """Tell whether a model may roll out now; if not, it waits, in this class alone. `models` is the number of models of the class."""
        turns = self._turns.setdefault(hardware_class, Turns())
        for others in self._turns.values():
            if others is not turns:
                others.waiting.pop(key, None)
        turns.limit = max(1, math.floor(self._share * models))
        if key not in turns.rolling and len(turns.rolling) >= turns.limit:
            turns.waiting[key] = None
            return False
        turns.waiting.pop(key, None)
        turns.rolling.add(key)
        return True

    def join(self, key: Key, hardware_class: str) -> None:
        """Count a model that rolls out already, such as one that did when the operator started."""
        self._turns.setdefault(hardware_class, Turns()).rolling.add(key)

    def settle(self, key: Key, *, is_rolled_out: bool) -> list[Key]:
        """Take note that a model does not wait, and whether it has rolled out; return those whose turn it is now."""
        called: list[Key] = []
        for turns in self._turns.values():
            was_concerned = key in turns.rolling or key in turns.waiting
            turns.waiting.pop(key, None)
            if is_rolled_out:
                turns.rolling.discard(key)
            if was_concerned:
                called.extend(list(turns.waiting)[: max(0, turns.limit - len(turns.rolling))])
        return called

    def count(self, hardware_class: str) -> tuple[int, int]:
        """Return how many models of a class roll out, and how many wait."""
        turns = self._turns.get(hardware_class, Turns())
        return len(turns.rolling), len(turns.waiting)
