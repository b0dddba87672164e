"""Durations as kubectl's flags take them: 90s, 10m, 1h30m."""

import re

import click

PATTERN = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


class Duration(click.ParamType[float]):
    """A click type whose value is in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        if isinstance(value, float):
            return value
        found = PATTERN.fullmatch(str(value)) if value else None
        if found is None:
            self.fail(f"{value!r} is no duration: write 90s, 10m or 1h30m.", param, ctx)
        hours, minutes, seconds = (float(part or 0) for part in found.groups())
        return hours * 3600 + minutes * 60 + seconds
