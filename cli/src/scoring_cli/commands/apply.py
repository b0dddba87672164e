"""`scoring apply`: ScoringModels and HardwareClasses to the cluster, by server-side apply; with --wait until the models serve."""

from pathlib import Path

import click

from scoring_cli.cluster import Cluster
from scoring_cli.documents import Manifest, read_manifests
from scoring_cli.durations import Duration
from scoring_cli.errors import ClusterError, InputInvalid
from scoring_cli.options import Target, cluster_options, output_option
from scoring_cli.output import print_document, print_table
from scoring_cli.progress import open_progress
from scoring_cli.standing import Standing, read_standing
from scoring_cli.waiting import Model, wait_until_ready
from scoring_operator.api import API_VERSION
from scoring_operator.kinds import HARDWARE_CLASS, SCORING_MODEL

KINDS = {kind.name: kind for kind in (HARDWARE_CLASS, SCORING_MODEL)}
"""What may be applied, in this order: a model needs its class."""


@click.command("apply")
@click.option(
    "--filename",
    "-f",
    "files",
    multiple=True,
    required=True,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    help="A file or folder of ScoringModels and HardwareClasses; - for standard input; may be repeated.",
)
@click.option(
    "--wait/--no-wait", "is_awaited", default=False, help="Wait until the models serve, or say why they will not."
)
@click.option(
    "--timeout", "timeout_seconds", type=Duration(), default="10m", show_default=True, help="How long to wait."
)
@click.option(
    "--force-conflicts", "force", is_flag=True, help="Take over fields that another manager, such as kubectl, has set."
)
@click.option("--dry-run", is_flag=True, help="Have the API server check all of it, and keep nothing.")
@output_option
@cluster_options
def command(target: Target, files: tuple[Path, ...], timeout_seconds: float, form: str, **flags: bool) -> None:
    """Apply ScoringModels and HardwareClasses.

    \b
    scoring apply -f scoringmodel.yaml --wait --timeout 5m
    """
    bodies = sort_out(read_manifests(files))
    cluster = Cluster(target)
    applied = [apply_one(cluster, body, force=flags["force"], dry_run=flags["dry_run"]) for body in bodies]
    models = [body for body in applied if body["kind"] == SCORING_MODEL.name]
    if flags["is_awaited"] and not flags["dry_run"]:
        keys = [Model(body["metadata"]["namespace"], body["metadata"]["name"]) for body in models]
        with open_progress() as progress:
            standings = wait_until_ready(cluster, keys, timeout_seconds, progress.tell)
        show(standings, form)
    elif form == "table":
        done = "would be applied" if flags["dry_run"] else "applied"
        print_table(("kind", "name", "what"), [(body["kind"], body["metadata"]["name"], done) for body in applied])
    else:
        print_document([read_standing(body).render() for body in models], form)


def sort_out(bodies: list[Manifest]) -> list[Manifest]:
    """Return the objects in the order of their kinds. Raises InputInvalid for a kind that is not ours."""
    foreign = next(
        (body for body in bodies if body.get("apiVersion") != API_VERSION or body["kind"] not in KINDS), None
    )
    if foreign is not None:
        raise InputInvalid(
            f"{foreign['kind']} {foreign['metadata']['name']} ({foreign.get('apiVersion')}) is not applied here, only {', '.join(KINDS)} of "
            f"{API_VERSION}: use kubectl apply."
        )
    if not bodies:
        raise InputInvalid("--filename: there is nothing in it to apply.")
    return [body for kind in KINDS for body in bodies if body["kind"] == kind]


def apply_one(cluster: Cluster, body: Manifest, *, force: bool, dry_run: bool) -> Manifest:
    """Apply an object and return it. Raises ClusterError, which names the object."""
    kind = KINDS[body["kind"]]
    metadata = body["metadata"]
    try:
        answer = cluster.apply(kind, body, force=force, dry_run=dry_run)
    except ClusterError as error:
        remedy = " Add --force-conflicts to take them over." if "conflict" in str(error) else ""
        raise type(error)(f"{body['kind']} {metadata['name']}: {error}{remedy}") from error
    return {"apiVersion": API_VERSION, "kind": body["kind"], **answer}


def show(standings: list[Standing], form: str) -> None:
    """Print where the models answer."""
    if form == "table":
        print_table(
            ("name", "reason", "replicas", "url"), [(one.name, one.reason, one.replicas, one.url) for one in standings]
        )
    else:
        print_document([standing.render() for standing in standings], form)
