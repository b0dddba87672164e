"""Options of the commands that ask a model: which one, with which key, and what. Above `endpoint` and `payloads`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce, wraps
from pathlib import Path
from typing import Any, cast

import click

from scoring_cli.cluster import Cluster
from scoring_cli.endpoint import DirectEndpoint, Endpoint, find_endpoint
from scoring_cli.errors import InputInvalid
from scoring_cli.keys_source import KeySource
from scoring_cli.options import FILE, Target, cluster_options, key_options
from scoring_cli.payloads import Given


@dataclass(frozen=True)
class Address:
    """Which model is asked."""

    target: Target
    name: str | None
    url: str | None
    key: KeySource


def open_endpoint(address: Address) -> Endpoint:
    """Return the endpoint of an address. Raises InputInvalid unless either name or URL is given."""
    if (address.name is None) == (address.url is None):
        raise InputInvalid("Give either NAME, a model of the cluster, or --url, the address of an endpoint.")
    if address.url is not None:
        if not address.url.startswith(("http://", "https://")):
            raise InputInvalid(f"--url: {address.url} is no address: write http://… or https://…, without /score.")
        return DirectEndpoint(address.url.removesuffix("/score"), address.key.read(None))
    cluster = Cluster(address.target)
    return find_endpoint(cluster, address.name or "", address.key.read(cluster))


OPTIONS: Sequence[Callable[[Callable[..., None]], Callable[..., None]]] = (
    click.option(
        "--json", "json_file", type=FILE, help="A file with the request, or its `input` alone; - for standard input."
    ),
    click.option("--image", type=FILE, help="An image to classify."),
    click.option("--text", help="A text, such as a question to a FAQ."),
    click.option("--url", help="Address of an endpoint, instead of NAME."),
    click.argument("name", required=False),
    key_options,
    cluster_options,
)
"""The last one's are shown first."""


def ask_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add NAME, --url, the key's options, and --text, --image, --json; the command gets `address` and `given`."""

    @wraps(command)
    def call(
        target: Target, name: str | None, url: str | None, key_file: Path | None, key_secret: str | None, **more: Any
    ) -> None:
        given = Given(more.pop("text"), more.pop("image"), more.pop("json_file"))
        command(address=Address(target, name, url, KeySource(key_file, key_secret)), given=given, **more)

    return reduce(lambda decorated, decorate: decorate(decorated), OPTIONS, cast("Callable[..., None]", call))
