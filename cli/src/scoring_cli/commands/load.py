"""`scoring load`: throughput and latency of a model against the number of clients and of replicas, within bounds."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from scoring_cli.asking import Address, ask_options, open_endpoint
from scoring_cli.cluster import Cluster
from scoring_cli.durations import Duration
from scoring_cli.endpoint import Payload, ProxiedEndpoint
from scoring_cli.errors import InputInvalid
from scoring_cli.load_test import MAX_CLIENTS, MAX_SECONDS, Level, Plan, measure
from scoring_cli.options import output_option
from scoring_cli.output import print_document, print_table, tell
from scoring_cli.payloads import Given, read_payload
from scoring_cli.plots import check_plot, draw
from scoring_cli.scaling import open_scale

COLUMNS = ("replicas", "clients", "requests/s", "p50 ms", "p95 ms", "p99 ms", "answered", "errors")


class Counts(click.ParamType[tuple[int, ...]]):
    """A click type: whole numbers with commas between them."""

    name = "numbers"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        words = str(value).split(",")
        if not all(word.strip().isdecimal() and 0 < int(word) <= MAX_CLIENTS for word in words):
            self.fail(f"{value!r} is no list of numbers from 1 to {MAX_CLIENTS}, such as 1,4,16.", param, ctx)
        return tuple(int(word) for word in words)


@dataclass(frozen=True)
class Wish:
    """What the user has asked for."""

    clients: tuple[int, ...]
    seconds: float
    max_requests: int
    replicas: tuple[int, ...]
    timeout_seconds: float
    plot: Path | None
    is_proxy_accepted: bool

    @property
    def plan(self) -> Plan:
        """What is done at each number of replicas. Raises InputInvalid when it would take too long."""
        if not 0 < self.seconds <= MAX_SECONDS:
            raise InputInvalid(f"--duration: more than 0 and at most {MAX_SECONDS:.0f} s for each number of clients.")
        return Plan(self.clients, self.seconds, self.max_requests)


@click.command("load")
@ask_options
@click.option(
    "--concurrency",
    "clients",
    type=Counts(),
    default="1,4,16",
    show_default=True,
    help="Clients that ask at the same time.",
)
@click.option(
    "--duration",
    "seconds",
    type=Duration(),
    default="5s",
    show_default=True,
    help="For each number of clients; at most 2m.",
)
@click.option(
    "--max-requests",
    type=click.IntRange(1),
    default=100_000,
    show_default=True,
    help="The most for each number of clients.",
)
@click.option(
    "--replicas", type=Counts(), default=(), help="Scale NAME to each of these numbers, and put it back afterwards."
)
@click.option(
    "--timeout",
    "timeout_seconds",
    type=Duration(),
    default="5m",
    show_default=True,
    help="For so many replicas to come.",
)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw it to a .svg or .png file.")
@click.option(
    "--through-api-server",
    "is_proxy_accepted",
    is_flag=True,
    help="Accept that a model without address is a load on the API server.",
)
@output_option
def command(address: Address, given: Given, form: str, **options: Any) -> None:
    """Measure the model NAME, or the one at --url, with one request again and again.

    \b
    scoring load --url http://127.0.0.1:8080 --text "How do I copy an array?" --concurrency 1,8,64
    scoring load faq --text "…" --replicas 1,2,4 --plot faq.svg

    Each client asks again as soon as it is answered. The load generator is one process: see that it is not what is measured.
    """
    wish = Wish(**options)
    if wish.plot is not None:
        check_plot(wish.plot)
    levels = list(run(address, read_payload(given), wish, tell_level if form == "table" else lambda _level: None))
    if form == "table":
        print_table(COLUMNS, map(write_row, levels))
    else:
        print_document([level.render() for level in levels], form)
    if wish.plot is not None:
        draw(levels, address.name or address.url or "", wish.plot)
        tell(f"drawn to {wish.plot}")


def run(address: Address, payload: Payload, wish: Wish, tell_of: Callable[[Level], None]) -> Iterator[Level]:
    """Yield what is measured, at each number of replicas if any are wished."""
    if not wish.replicas:
        yield from run_once(address, payload, wish, (None, tell_of))
        return
    if address.name is None:
        raise InputInvalid(
            "--replicas needs NAME, a model of the cluster: what is at --url cannot be scaled from here."
        )
    with open_scale(Cluster(address.target), address.name, wish.timeout_seconds) as scale:
        for replicas in wish.replicas:
            scale.set_and_wait(replicas)
            yield from run_once(address, payload, wish, (replicas, tell_of))


def run_once(
    address: Address, payload: Payload, wish: Wish, case: tuple[int | None, Callable[[Level], None]]
) -> list[Level]:
    """Return what is measured now. Raises InputInvalid when the API server would bear it unasked."""
    endpoint = open_endpoint(address)
    if isinstance(endpoint, ProxiedEndpoint) and not wish.is_proxy_accepted:
        raise InputInvalid(
            f"{address.name} is reached only {endpoint.way}, which would bear the load too and be measured with it: run this where the Service "
            "is reached, or forward a port (kubectl port-forward service/NAME 8080:80), and give --url; or accept it by --through-api-server."
        )
    tell(f"asking {endpoint.way}")
    replicas, tell_of = case
    return asyncio.run(measure(endpoint, payload, wish.plan, replicas, tell_of))


def tell_level(level: Level) -> None:
    """Tell that a level is measured."""
    tell(f"{level.clients} clients: {level.per_second} requests/s")


def write_row(level: Level) -> tuple[object, ...]:
    """Return the cells of a level."""
    errors = ", ".join(f"{count} × {status}" for status, count in sorted(level.errors.items()))
    percentiles = (level.p50_milliseconds, level.p95_milliseconds, level.p99_milliseconds)
    return (level.replicas, level.clients, level.per_second, *percentiles, level.answered, errors)
