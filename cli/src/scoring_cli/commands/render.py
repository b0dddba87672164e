"""`scoring render`: what the operator would make of ScoringModels, for review and for diffs in GitOps; no cluster is asked."""

from pathlib import Path

import click

from scoring_cli.documents import read_manifests
from scoring_cli.options import namespace_option
from scoring_cli.output import print_document, render_yaml, tell
from scoring_cli.rendering import read_surroundings, render_all

DEFAULTS_USED = "note: images and routes are those of a chart with its default values: give --operator FILE for those of your cluster."
Source = click.Path(exists=True, allow_dash=True, path_type=Path)


@click.command("render")
@click.argument("files", nargs=-1, required=True, type=Source, metavar="FILE…")
@click.option(
    "--hardware",
    multiple=True,
    type=Source,
    help="The platform team's HardwareClasses: files or folders. Left out, with --operator too: the chart's defaults.",
)
@click.option(
    "--operator",
    "installed",
    multiple=True,
    type=Source,
    help="The operator's manifests, as `helm template` prints them: its settings and hardware classes are used.",
)
@click.option(
    "--output",
    "-o",
    "form",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How it is printed.",
)
@namespace_option
def command(
    files: tuple[Path, ...], hardware: tuple[Path, ...], installed: tuple[Path, ...], form: str, namespace: str | None
) -> None:
    """Print all children of the ScoringModels in FILE: files, folders, or - for standard input.

    \b
    helm template scoring-operator charts/scoring-operator -f values.yaml > operator.yaml
    scoring render models/ --operator operator.yaml > children.yaml

    A child whose kind a cluster lacks, such as a ServiceMonitor, is printed and would not be made there. Owner references and the hash
    annotation of a child need the model's uid: they are there when FILE is what `kubectl get -o yaml` prints.
    """
    manifests = read_manifests(files)
    platform = read_manifests([*hardware, *installed])
    surroundings = read_surroundings(manifests, platform, namespace or "default")
    children = list(render_all(manifests, surroundings))
    if not installed:
        tell(DEFAULTS_USED)
    if form == "json":
        print_document({"apiVersion": "v1", "kind": "List", "items": children}, form)
    else:
        click.echo(render_yaml(children), nl=False)
