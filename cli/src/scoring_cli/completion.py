"""Completion: click's own for shells, and what `kubectl scoring <TAB>` calls."""

import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete

from scoring_cli.commands.completion import ENVIRONMENT
from scoring_cli.main import scoring

KUBECTL_FILES, KUBECTL_NO_FILES = 0, 4
"""What kubectl's completion is told to do beside: offer names of files, or not."""


def complete_for_kubectl(arguments: Sequence[str] | None = None) -> None:
    """Print what may follow, as kubectl asks for it: the words so far, the last one perhaps empty."""
    words = list(sys.argv[1:] if arguments is None else arguments) or [""]
    completer = ShellComplete(scoring, {}, "scoring", ENVIRONMENT)
    items = completer.get_completions(words[:-1], words[-1])
    for item in items:
        if item.type == "plain":
            click.echo(_write(item))
    click.echo(f":{KUBECTL_NO_FILES if all(item.type == 'plain' for item in items) else KUBECTL_FILES}")


def _write(item: CompletionItem) -> str:
    return f"{item.value}\t{item.help}" if item.help else str(item.value)
