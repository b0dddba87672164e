"""What commands print: documents for programs on standard output, tables for people, and news on standard error."""

import json
import sys
from collections.abc import Iterable, Sequence

import click
import yaml
from rich.console import Console
from rich.table import Table

PIPE_COLUMNS = 240
"""Of a table that no terminal limits: whoever reads it from a pipe wants whole lines."""


def print_document(value: object, form: str) -> None:
    """Print a JSON-like value as json or yaml."""
    if form == "json":
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        click.echo(render_yaml([value]), nl=False)


def render_yaml(documents: Iterable[object]) -> str:
    """Return the values as YAML documents, keys in their own order; texts of several lines stay readable."""
    return str(yaml.safe_dump_all(list(documents), sort_keys=False, allow_unicode=True, width=120))


def tell(text: str) -> None:
    """Print a piece of news to the person at the terminal, apart from the result."""
    click.echo(text, err=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; on a terminal it is fitted to its width, elsewhere nothing is cut."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.upper(), overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    open_console().print(table)


def open_console(*, stderr: bool = False) -> Console:
    """Return rich's console: colours on a terminal only, none with NO_COLOR."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, markup=False, width=None if stream.isatty() else PIPE_COLUMNS)
