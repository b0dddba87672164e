"""`scoring`: the table of contents. Each command is a module of `commands`, imported only when it runs.

So `scoring --help` starts in a tenth of a second, and no command pays for the libraries of another.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from types import TracebackType

import click
from click.shell_completion import CompletionItem

from scoring_cli.errors import INTERRUPTED, CommandError

COMMANDS = {
    "init": "Write a ScoringModel for an artifact.",
    "package": "Make an artifact of a trained model.",
    "render": "Print all that the operator would make, without a cluster.",
    "apply": "Apply ScoringModels, and wait until they serve.",
    "status": "Show models, or one with its children and why it waits.",
    "score": "Ask a model.",
    "load": "Measure throughput and latency under load.",
    "logs": "Show the logs of a model's replicas.",
    "keys": "Make and list API keys.",
    "completion": "Print what makes a shell complete commands.",
}
"""Name and one line of each command, so that the list of them imports none."""

DEBUG = "SCORING_DEBUG"
"""Environment variable with which a mistake of the program's own shows its traceback."""


class Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"scoring_cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of the commands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that a word begins, or the options."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scoring-cli", prog_name="scoring")
def scoring() -> None:
    """Work with ScoringModels: package, apply, watch, ask and measure models.

    Also found by kubectl, as `kubectl scoring`. Exit statuses: 0 done, 2 wrong input, 3 the API server refused or did not answer,
    4 the model does not work, 5 time has passed, 6 the endpoint refused or did not answer, 130 interrupted.
    """


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process; errors become one line and an exit status, never a traceback."""
    sys.excepthook = tell_mistake
    try:
        status = scoring.main(arguments, prog_name="scoring", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except CommandError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_status)
    sys.exit(status if isinstance(status, int) else 0)


def tell_mistake(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell of an error that nobody has expected, as Python's own hook does but in one line; the exit status is 1."""
    if os.environ.get(DEBUG):
        sys.__excepthook__(kind, error, trace)
    else:
        click.echo(
            f"error: a mistake of scoring itself: {kind.__name__}: {error}\nSet {DEBUG}=1 to see where, and report it.",
            err=True,
        )
