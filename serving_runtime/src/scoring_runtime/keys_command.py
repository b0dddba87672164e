"""`scoring-runtime keys`: makes API keys and lists them. Called by __main__.py; talks to no cluster.

The key itself goes to standard error, once; what belongs into the Secret, only its hash, to standard output. So
`scoring-runtime keys new shop | kubectl apply -f -` shows the key and stores the hash.
"""

import base64
import json
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from scoring_runtime.access import Caller
from scoring_runtime.access.keys import hash_key, make_key, parse_entries, read_files, read_keys

FOLDER_VARIABLE = "SCORING_API_KEYS_DIR"

_NAME = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]{0,252}")
_SPAN = re.compile(r"([1-9][0-9]{0,4})([dh])")
_FINGERPRINT_CHARACTERS = 12


@click.group()
def keys() -> None:
    """API keys of a scoring endpoint: made here, stored as hashes in a Secret."""


@keys.command()
@click.argument("name")
@click.option(
    "--secret", default="scoring-keys", show_default=True, help="Name of the Secret, as in spec.endpoint.apiKeys."
)
@click.option("--namespace", "-n", help="Namespace of the Secret; left out: kubectl's own.")
@click.option("--expires", help="When it ends: 90d, 12h, or a time such as 2027-01-31T00:00:00Z. Left out: never.")
@click.option("--models", help="Names of ScoringModels with commas between them, the only ones it is for.")
@click.option(
    "--output",
    "-o",
    type=click.Choice(["secret", "patch", "entry"]),
    default="secret",
    show_default=True,
    help="secret: a whole manifest. patch: for `kubectl patch secret`, which leaves other keys. entry: the line alone.",
)
def new(name: str, output: str, secret: str, namespace: str | None, expires: str | None, models: str | None) -> None:
    """Make a key called NAME. It is shown this once, on standard error."""
    if _NAME.fullmatch(name) is None:
        raise click.BadParameter(
            "a name has letters, digits, '-', '_' and '.', and begins with a letter or digit", param_hint="NAME"
        )
    key = make_key()
    entry = _write_entry(key, expires, models)
    click.echo(f"Key of {name}, shown only now: {key}", err=True)
    if output == "entry":
        click.echo(entry)
    elif output == "patch":
        click.echo(json.dumps({"stringData": {name: entry}}))
    else:
        click.echo(_write_manifest(secret, namespace, name, entry))


@keys.command("list")
@click.argument("source", required=False)
@click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the list is printed.",
)
def list_keys(source: str | None, output: str) -> None:
    """List names, fingerprints and limits of the keys in SOURCE: a folder, or - for a Secret as JSON on standard input.

    Left out: the folder of this container's own keys.
    """
    found = read_keys(_read_source(source))
    rows = [
        _describe(digest, caller) for digest, caller in sorted(found.callers.items(), key=lambda item: item[1].name)
    ]
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            models = "all models" if row["models"] is None else ",".join(row["models"])
            click.echo("\t".join((row["name"], row["fingerprint"], _describe_end(row["expires"]), models)))
    for problem in found.problems:
        click.echo(f"left out: {problem}", err=True)


def run(arguments: list[str]) -> None:
    """Run the command with these arguments, and end."""
    keys.main(arguments, prog_name="scoring-runtime keys")


def _write_entry(key: str, expires: str | None, models: str | None) -> str:
    words = [hash_key(key)]
    words += [] if expires is None else [f"expires={_find_end(expires)}"]
    words += [] if models is None else [f"models={models}"]
    entry = " ".join(words)
    try:
        dict(parse_entries("new", entry))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return entry


def _find_end(expires: str) -> str:
    span = _SPAN.fullmatch(expires)
    if span is None:
        return expires
    hours = int(span[1]) * (24 if span[2] == "d" else 1)
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _describe(digest: bytes, caller: Caller) -> dict[str, Any]:
    """Return a key as JSON; `expires` and `models` are null where it has no limit."""
    expires = None if caller.expires is None else f"{datetime.fromtimestamp(caller.expires, UTC):%Y-%m-%dT%H:%M:%SZ}"
    models = None if caller.models is None else sorted(caller.models)
    fingerprint = digest.hex()[:_FINGERPRINT_CHARACTERS]
    return {"name": caller.name, "fingerprint": fingerprint, "expires": expires, "models": models}


def _describe_end(expires: str | None) -> str:
    if expires is None:
        return "never expires"
    is_past = datetime.fromisoformat(expires) <= datetime.now(UTC)
    return f"{'expired' if is_past else 'expires'} {expires}"


def _write_manifest(secret: str, namespace: str | None, name: str, entry: str) -> str:
    """Return the Secret as YAML. Its texts are quoted as in JSON, which YAML reads too."""
    lines = ["apiVersion: v1", "kind: Secret", "metadata:", f"  name: {json.dumps(secret)}"]
    lines += [] if namespace is None else [f"  namespace: {json.dumps(namespace)}"]
    return "\n".join([*lines, "stringData:", f"  {json.dumps(name)}: {json.dumps(entry)}"])


def _read_source(source: str | None) -> Mapping[str, str]:
    folder = os.environ.get(FOLDER_VARIABLE) if source is None else source
    if folder is None:
        raise click.UsageError(f"name a folder, or - for a Secret as JSON; {FOLDER_VARIABLE} is not set here")
    try:
        return _read_secret(json.load(sys.stdin)) if folder == "-" else read_files(Path(folder))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise click.ClickException(f"{folder} cannot be read: {error}") from error


def _read_secret(secret: Any) -> dict[str, str]:  # noqa: ANN401  # JSON
    """Return the texts of a Secret as `kubectl get secret -o json` writes it."""
    data = {name: base64.b64decode(text).decode(errors="replace") for name, text in (secret.get("data") or {}).items()}
    return {**data, **(secret.get("stringData") or {})}
