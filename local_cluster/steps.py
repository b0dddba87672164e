"""Shows what is being done and how long each step took. Goes to standard error: standard output is for results."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

console = Console(stderr=True, highlight=False)


@contextmanager
def step(title: str) -> Iterator[Callable[[str], None]]:
    """Show a step while it runs and its time when it ends; gives a function that adds a word on the progress."""
    started = time.monotonic()
    detail = ""

    def report(text: str) -> None:
        nonlocal detail
        detail = text
        status.update(f"{title}: {text}")

    with console.status(title) as status:
        try:
            yield report
        except BaseException:
            console.print(f"[red]✗[/red] {title} ({time.monotonic() - started:.1f} s)")
            raise
    note = f": {detail}" if detail else ""
    console.print(f"[green]✓[/green] {title}{note} ({time.monotonic() - started:.1f} s)", soft_wrap=True)
