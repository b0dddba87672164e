"""A real Kubernetes on this machine: brings it up and down and puts images on it."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from local_cluster import kind
from local_cluster.builder import lock_path
from local_cluster.container_images import RealNode
from local_cluster.definitions import SOURCES, read_definitions
from local_cluster.errors import LocalClusterError
from local_cluster.images import BASE, RECIPES, Target, load_derived_image, load_project_image
from local_cluster.lifecycle import bring_down, bring_up
from local_cluster.locks import lock
from local_cluster.programs import get_programs
from local_cluster.releases import find_release
from local_cluster.state import Addon, Cluster, NodeKind, Provider, Record, load_record
from local_cluster.status import Status, read_status
from local_cluster.steps import console, step

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
Name = Annotated[str, typer.Option(help="Name of the cluster; several may be up at once.")]
By = Annotated[Provider, typer.Option(help="local: programs of this machine; kind: containers of a container engine.")]
Output = Annotated[Literal["text", "json"], typer.Option(help="How to print the result.")]
DEFAULT_NAME = "scoring"


def main() -> None:
    """Run the command line; what goes wrong is one message and exit status 1."""
    try:
        app()
    except LocalClusterError as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        raise SystemExit(1) from error


@app.command()
def up(
    name: Name = DEFAULT_NAME,
    node: Annotated[NodeKind, typer.Option(help="real: a node that runs pods (root); none: no root needed.")] = "real",
    addons: Annotated[
        list[Addon] | None, typer.Option("--with", help="An add-on, repeatable; it stays until `down`.")
    ] = None,
    provider: By = "local",
) -> None:
    """Bring a cluster up, or mend what died of one that is up."""
    cluster = Cluster(name)
    if provider == "kind" and addons:
        raise LocalClusterError("add-ons are programs of this machine: `--with` goes with `--provider local` only")
    if provider == "kind":
        with step("kind"):
            kind.bring_up_kind(cluster)
    else:
        bring_up(cluster, node, addons or ())
    console.print(f"export KUBECONFIG={cluster.kubeconfig}", soft_wrap=True)


@app.command()
def down(name: Name = DEFAULT_NAME, provider: By = "local") -> None:
    """Stop a cluster and remove everything of it; programs and images stay in the cache."""
    if provider == "kind":
        kind.bring_down_kind(Cluster(name))
    else:
        bring_down(Cluster(name))


@app.command()
def status(name: Name = DEFAULT_NAME, provider: By = "local", output: Output = "text") -> None:
    """Show what runs and where it answers; exit status 1 when something does not."""
    if provider == "kind":
        raise SystemExit(0 if kind.is_up(Cluster(name)) else 1)
    found = read_status(Cluster(name), _known_record(Cluster(name)))
    if output == "json":
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        _print_status(found)
    raise SystemExit(0 if found.healthy else 1)


@app.command()
def kubeconfig(name: Name = DEFAULT_NAME, provider: By = "local") -> None:
    """Print the path of the cluster's kubeconfig."""
    path = Cluster(name).kubeconfig
    if not path.exists():
        raise LocalClusterError(f"there is no cluster {name!r} of {provider}; `python -m local_cluster up` makes one")
    typer.echo(path)


@app.command()
def program(name: str) -> None:
    """Print the path of a program (kubectl, helm, kwokctl, …), getting it first if necessary."""
    path = find_release(name).path(name)
    if not path.exists():
        with step(name) as report:
            get_programs([name], report)
    typer.echo(path)


@app.command()
def crds(source: Annotated[str, typer.Argument(help=f"Of {', '.join(SOURCES)}.")]) -> None:
    """Print another project's custom resource definitions, for `kubectl apply --server-side --filename -`."""
    typer.echo(read_definitions(source))


@app.command("load-image")
def load_image(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Of {', '.join((*RECIPES, BASE))}; all but the base.")
    ] = None,
    dockerfile: Annotated[Path | None, typer.Option(help="Another Dockerfile, for an image that derives.")] = None,
    tag: Annotated[str, typer.Option(help="With --dockerfile: name of the image, such as localhost/mine.")] = "",
    context: Annotated[Path | None, typer.Option(help="With --dockerfile: what COPY reads; its folder.")] = None,
    build_arg: Annotated[list[str] | None, typer.Option(help="With --dockerfile: KEY=VALUE, repeatable.")] = None,
    name: Name = DEFAULT_NAME,
    provider: By = "local",
    output: Output = "text",
) -> None:
    """Build images where their inputs changed, and put them on the cluster; prints their references."""
    target = _target(name, provider)
    if dockerfile is None:
        references = {image: _load_project_image(image, target) for image in names or RECIPES}
    elif not tag or names:
        raise LocalClusterError("--dockerfile goes with --tag, and without names of the project's own images")
    else:
        arguments = _parse_arguments(build_arg or [])
        folder = (context or dockerfile.parent).resolve()
        with step(tag) as report, lock(lock_path(), report):
            references = {tag: load_derived_image(dockerfile.resolve(), folder, tag, arguments, target, report)}
    typer.echo(json.dumps(references) if output == "json" else "\n".join(references.values()))


def _load_project_image(image: str, target: Target) -> str:
    with step(image) as report, lock(lock_path(), report):
        return load_project_image(image, target, report)


def _known_record(cluster: Cluster) -> Record:
    record = load_record(cluster)
    if record is None:
        raise LocalClusterError(f"there is no cluster {cluster.name!r}; `python -m local_cluster up` makes one")
    return record


def _target(name: str, provider: Provider) -> Target:
    cluster = Cluster(name)
    if provider == "kind":
        kind.check_kind()
        return kind.KindNode(cluster)
    if _known_record(cluster).node != "real":
        raise LocalClusterError(f"cluster {name!r} has no real node, so it takes no images")
    return RealNode(cluster)


def _parse_arguments(words: list[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise LocalClusterError(f"--build-arg {word}: KEY=VALUE is needed")
        pairs[key] = value
    return pairs


def _print_status(found: Status) -> None:
    table = Table("part", "address", "process")
    for part in found.parts:
        table.add_row(part.name, part.address, str(part.pid) if part.pid else "[red]not running[/red]")
    output = Console()
    output.print(table)
    node = {True: "ready", False: "not ready", None: "none"}[found.node_ready]
    output.print(f"API server {'ready' if found.api_ready else 'not ready'}, real node {node}")
    output.print(f"kubeconfig {found.kubeconfig}", soft_wrap=True)
