"""Progress on standard error: a line that lives on a terminal, one line for each change elsewhere, such as in CI."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

from scoring_cli.output import open_console
from scoring_cli.standing import Standing

SHOWN_CHARACTERS = 100


class Progress:
    """Tells of models as they change."""

    def __init__(self, console: Console, status: Status | None) -> None:
        self._console = console
        self._status = status
        self._told: dict[tuple[str, str], tuple[str, str]] = {}

    def tell(self, standing: Standing, seconds: float) -> None:
        """Tell how a model stands, once for each reason and message; on a terminal also for how long."""
        key, said = (standing.namespace, standing.name), (standing.reason, standing.message)
        if self._status is not None:
            self._status.update(f"{standing.name}: {standing.message[:SHOWN_CHARACTERS]} ({seconds:.0f} s)")
        if self._told.get(key) != said:
            self._told[key] = said
            mark = "✓" if standing.is_ready else "…"
            self._console.print(
                f"{mark} {seconds:5.1f} s  {standing.name}  {standing.reason}: {standing.message}", soft_wrap=True
            )


@contextmanager
def open_progress() -> Iterator[Progress]:
    """Yield progress on standard error."""
    console = open_console(stderr=True)
    if not console.is_terminal:
        yield Progress(console, None)
        return
    with console.status("waiting") as status:
        yield Progress(console, status)
