"""What a live object lacks of a rendered one: pure comparison that decides whether there is anything to write.

Fields that only the live object has (defaults, an autoscaler's replicas, an injected sidecar) do not count.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from scoring_operator.api import Manifest
from scoring_operator.quantities import parse_quantity

Difference = tuple[str, str]
"""Path of a field and, as text, what the live object has there."""

LIST_KEYS = ("name", "uid")
"""Fields that identify an item of a list; lists without them are compared as a whole."""

QUANTITY_PARENTS = (".requests", ".limits")
"""Objects all of whose fields are quantities."""

QUANTITY_FIELDS = (".emptyDir.sizeLimit", ".target.averageValue", ".scaleUp.tolerance", ".scaleDown.tolerance")
"""Quantities elsewhere, of those that are rendered."""

ABSENT = "(absent)"


def find_differences(live: Manifest, rendered: Manifest) -> tuple[Difference, ...]:
    """Return each rendered field that the live object has not, or has otherwise; none means that nothing needs writing."""
    return tuple(compare(live, rendered, ""))


def compare(live: object, rendered: object, path: str) -> Iterator[Difference]:
    """Yield the differences below `path`."""
    if live == rendered or (is_empty(rendered) and is_empty(live)):
        return
    if isinstance(rendered, dict) and isinstance(live, dict):
        for name, value in rendered.items():
            yield from compare(live.get(name), value, f"{path}.{name}")
    elif isinstance(rendered, list) and isinstance(live, list):
        yield from compare_lists(live, rendered, path)
    elif not is_same(live, rendered, path):
        yield path, ABSENT if live is None else str(live)


def compare_lists(live: list[Any], rendered: list[Any], path: str) -> Iterator[Difference]:
    """Yield the differences of two lists: by the items' key where they have one, else item by item."""
    key = next((name for name in LIST_KEYS if all(isinstance(item, dict) and name in item for item in rendered)), None)
    if key is not None:
        live_items = {item.get(key): item for item in live if isinstance(item, dict)}
        for item in rendered:
            yield from compare(live_items.get(item[key]), item, f"{path}[{item[key]}]")
    elif len(live) != len(rendered):
        yield path, f"{len(live)} items"
    else:
        for index, (live_item, item) in enumerate(zip(live, rendered, strict=True)):
            yield from compare(live_item, item, f"{path}[{index}]")


def is_same(live: object, rendered: object, path: str) -> bool:
    """Tell whether two plain values mean the same: the API server writes quantities in its own way (1000m as 1)."""
    is_quantity = path.endswith(QUANTITY_FIELDS) or path.rpartition(".")[0].endswith(QUANTITY_PARENTS)
    if is_quantity and live is not None:
        # Names of annotations have dots as well, and may end like the path of a quantity.
        with suppress(ValueError):
            return parse_quantity(str(live)) == parse_quantity(str(rendered))
    return bool(live == rendered)


def is_empty(value: object) -> bool:
    """Tell whether a value is one that the API server may leave out."""
    return value is None or value in ("", {}, [])
