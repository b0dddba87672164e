"""Command line of the sample app: `python -m samples.client`, from the repository's root. The server itself is `samples.client.server`.

What is secret never stands in a command line: a password is asked for, read from standard input, or made and shown once.
"""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from samples.client.manifests import (
    APP,
    MIN_PASSWORD,
    USERS,
    Keyed,
    make_password,
    make_secrets,
    render_secret,
    write_manifests,
)
from samples.client.users import NAME, hash_password

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Secrets and users of the sample app.")


class Output(StrEnum):
    """How a user is printed."""

    MANIFEST = "manifest"
    PATCH = "patch"
    ENTRY = "entry"


@app.command("secrets")
def print_secrets(
    secret: Annotated[str, typer.Option(help="Name of the app's Secret.")] = APP,
    model_keys: Annotated[
        str | None,
        typer.Option(help="Secret of the models' API keys (spec.endpoint.apiKeys), which gets the app's key."),
    ] = None,
    client_secret_file: Annotated[
        Path | None,
        typer.Option(help="File with the app's client secret at an OpenID Connect issuer; - for standard input."),
    ] = None,
) -> None:
    """Print the app's Secret, and the models' Secret with the hash of the app's new key, for `kubectl apply -f -`."""
    client_secret = None if client_secret_file is None else read_line(client_secret_file)
    keyed = None if model_keys is None else Keyed(model_keys, secret)
    typer.echo(write_manifests(make_secrets(keyed, client_secret, secret)), nl=False)


@app.command("user")
def print_user(
    name: Annotated[str, typer.Argument(help="Letters, digits, '-', '_' and '.'; begins with a letter or digit.")],
    secret: Annotated[str, typer.Option(help="Name of the Secret of users.")] = USERS,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the password from standard input.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Ask for the password, twice.")] = False,
    output: Annotated[
        Output,
        typer.Option(help="manifest: a whole Secret. patch: for `kubectl patch secret`, which leaves other users."),
    ] = Output.MANIFEST,
) -> None:
    """Print a user with the hash of a password, which is a new one shown once on standard error, unless it is given."""
    if NAME.fullmatch(name) is None:
        raise typer.BadParameter(
            "a name has letters, digits, '-', '_' and '.', begins with a letter or digit, 63 at most"
        )
    password = choose_password(name, is_asked=ask, is_read=stdin)
    entry = hash_password(password)
    if output is Output.ENTRY:
        typer.echo(entry)
    elif output is Output.PATCH:
        typer.echo(json.dumps({"stringData": {name: entry}}))
    else:
        typer.echo(write_manifests([render_secret(secret, {name: entry})]), nl=False)


def choose_password(name: str, *, is_asked: bool, is_read: bool) -> str:
    """Return the password: asked for, read, or a new one."""
    if not (is_asked or is_read):
        password = make_password()
        typer.echo(f"Password of {name}, shown only now: {password}", err=True)
        return password
    given: str = (
        read_line(Path("-"))
        if is_read
        else typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    )
    if len(given) < MIN_PASSWORD:
        raise typer.BadParameter(f"a password has {MIN_PASSWORD} characters or more; leave it out to get a good one")
    return given


def read_line(path: Path) -> str:
    """Return the first line of a file, or of standard input."""
    text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    return text.partition("\n")[0].strip()


if __name__ == "__main__":
    app()
