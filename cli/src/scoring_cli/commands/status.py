"""`scoring status`: all models in a table, or one as a tree with its children and why it waits."""

import click

from scoring_cli.ages import describe_age
from scoring_cli.cluster import Cluster
from scoring_cli.errors import InputInvalid
from scoring_cli.family import fetch_family
from scoring_cli.options import Target, cluster_options, output_option
from scoring_cli.output import open_console, print_document, print_table, tell
from scoring_cli.standing import Standing, read_standing
from scoring_cli.tree import build_tree, render_family
from scoring_operator.kinds import SCORING_MODEL

COLUMNS = ("name", "ready", "reason", "replicas", "class", "url", "age", "message")


@click.command("status")
@click.argument("name", required=False)
@click.option("--all-namespaces", "-A", "everywhere", is_flag=True, help="Models of all namespaces.")
@output_option
@cluster_options
def command(target: Target, name: str | None, form: str, *, everywhere: bool) -> None:
    """Show all models of the namespace, or the model NAME with its children.

    \b
    scoring status
    scoring status faq
    """
    cluster = Cluster(target)
    if name is not None and everywhere:
        raise InputInvalid(
            "NAME and --all-namespaces exclude each other: a model is in one namespace, given by --namespace."
        )
    if name is not None:
        show_one(cluster, name, form)
    else:
        show_all(cluster, form, everywhere=everywhere)


def show_one(cluster: Cluster, name: str, form: str) -> None:
    """Print one model with its children."""
    family = fetch_family(cluster, name)
    if form == "table":
        open_console().print(build_tree(family))
    else:
        print_document(render_family(family), form)


def show_all(cluster: Cluster, form: str, *, everywhere: bool) -> None:
    """Print a line for each model."""
    standings = [read_standing(body) for body in cluster.list(SCORING_MODEL, everywhere=everywhere)]
    if form != "table":
        print_document([standing.render() for standing in standings], form)
    elif not standings:
        tell("No models in any namespace." if everywhere else f"No models in namespace {cluster.namespace}.")
    else:
        columns = ("namespace", *COLUMNS) if everywhere else COLUMNS
        print_table(columns, [write_row(standing, everywhere=everywhere) for standing in standings])


def write_row(standing: Standing, *, everywhere: bool) -> tuple[str | None, ...]:
    """Return the cells of a model; the message only where it is needed."""
    cells = (
        standing.name,
        standing.ready,
        standing.reason,
        standing.replicas,
        standing.hardware_class,
        standing.url,
        describe_age(standing.created),
        None if standing.is_ready else standing.message,
    )
    return (standing.namespace, *cells) if everywhere else cells
