"""Ages of objects as kubectl writes them."""

import datetime

UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def describe_age(created: str) -> str:
    """Return the time since an object was created, in its largest unit."""
    seconds = max(
        0, int((datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(created)).total_seconds())
    )
    return next((f"{seconds // size}{unit}" for unit, size in UNITS if seconds >= size), "0s")
