"""`scoring completion`: the script that makes a shell complete commands and options."""

import click
from click.shell_completion import get_completion_class

from scoring_cli.errors import CommandError

ENVIRONMENT = "_SCORING_COMPLETE"
"""By which click knows that it is asked what may follow."""

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the completion of SHELL.

    \b
    scoring completion bash > ~/.local/share/bash-completion/completions/scoring
    scoring completion zsh > "${fpath[1]}/_scoring"
    scoring completion fish > ~/.config/fish/completions/scoring.fish

    kubectl completes `kubectl scoring` by itself: it calls kubectl_complete-scoring, which is installed beside this program.
    """
    completion = get_completion_class(shell)
    if completion is None:
        raise CommandError(f"There is no completion for {shell}.")
    root = click.get_current_context().find_root().command
    click.echo(completion(root, {}, "scoring", ENVIRONMENT).source())
