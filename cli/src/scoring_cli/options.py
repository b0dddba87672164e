"""Options that several commands have, named as kubectl's, and what they stand for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
"""A file to read, or - for standard input."""

FORMATS = ("table", "json", "yaml")


@dataclass(frozen=True)
class Target:
    """Which cluster and namespace are meant; None leaves it to the kubeconfig."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None


def namespace_option(command: Command) -> Command:
    """Add --namespace."""
    return click.option("--namespace", "-n", metavar="NAME", help="Namespace; left out, the kubeconfig's.")(command)


def cluster_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --kubeconfig, --context and --namespace, which the command gets as `target`."""

    @wraps(command)
    def call(*, kubeconfig: Path | None, context: str | None, namespace: str | None, **given: Any) -> None:
        command(target=Target(kubeconfig, context, namespace), **given)

    call = click.option("--context", metavar="NAME", help="Context of the kubeconfig; left out, its current one.")(
        namespace_option(call)
    )
    return click.option(
        "--kubeconfig",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The kubeconfig; left out, $KUBECONFIG or ~/.kube/config.",
    )(call)


def output_option(command: Command) -> Command:
    """Add --output for people (table) or programs (json, yaml)."""
    return click.option(
        "--output",
        "-o",
        "form",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How the result is printed.",
    )(command)


def key_options(command: Command) -> Command:
    """Add where the API key of an endpoint is read from; never the key itself, which others would see in the list of processes."""
    command = click.option(
        "--key-secret",
        metavar="NAME[/ENTRY]",
        help="A Secret of the namespace that holds the API key itself, in its entry `key` unless another is named.",
    )(command)
    return click.option(
        "--key-file",
        type=FILE,
        help="A file that holds the API key; - for standard input.",
    )(command)
