"""`scoring init`: a ScoringModel for an artifact on this machine, with its digest and format filled in."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from scoring_cli.artifacts import read_artifact_manifest
from scoring_cli.documents import Manifest
from scoring_cli.errors import InputInvalid
from scoring_cli.options import namespace_option, output_option
from scoring_cli.output import print_document, tell
from scoring_operator.api import API_VERSION, ScoringModel
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import SCORING_MODEL
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.errors import LoadError


@dataclass(frozen=True)
class Wish:
    """What the user has asked for."""

    artifact: Path
    uri: str
    name: str | None
    namespace: str | None
    hardware_class: str | None
    replicas: int
    host: str | None
    keys_secret: str | None


@click.command("init")
@click.argument("artifact", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--uri", required=True, help="Where the cluster finds the artifact: s3://…, pvc://…, https://… and others."
)
@click.option("--name", help="Name of the model; left out, that of the artifact's manifest.")
@click.option("--hardware-class", metavar="NAME", help="Left out: the class that is marked as default.")
@click.option("--replicas", type=click.IntRange(0), default=1, show_default=True, help="How many replicas serve it.")
@click.option("--host", help="Host name at which it is reached from outside.")
@click.option(
    "--keys-secret", metavar="NAME", help="Secret with the hashes of API keys, as `scoring keys new` makes it."
)
@namespace_option
@output_option
def command(form: str, **given: Any) -> None:
    """Write a ScoringModel for ARTIFACT, an archive, a folder or a model's file on this machine.

    \b
    scoring init faq.tar --uri s3://models/faq.tar > scoringmodel.yaml
    """
    body = write_scoring_model(Wish(**given))
    print_document(body, "json" if form == "json" else "yaml")
    tell(f"Put the artifact at {given['uri']}, then: scoring apply -f FILE --wait")


def write_scoring_model(wish: Wish) -> Manifest:
    """Return the ScoringModel. Raises InputInvalid when the artifact cannot be served, or a field would be refused."""
    try:
        manifest = read_artifact_manifest(wish.artifact)
        digest = compute_digest(wish.artifact)
    except (LoadError, OSError) as error:
        raise InputInvalid(f"{wish.artifact}: {error}") from error
    endpoint: Manifest = {"host": wish.host} if wish.host else {}
    endpoint |= {"apiKeys": {"secretName": wish.keys_secret}} if wish.keys_secret else {}
    spec = {
        "model": {"uri": wish.uri, "digest": digest, **({"format": manifest.format} if manifest.format else {})},
        **({"hardwareClass": wish.hardware_class} if wish.hardware_class else {}),
        "replicas": wish.replicas,
        **({"endpoint": endpoint} if endpoint else {}),
    }
    metadata = {
        "name": wish.name or make_name(manifest.name),
        **({"namespace": wish.namespace} if wish.namespace else {}),
    }
    body = {"apiVersion": API_VERSION, "kind": SCORING_MODEL.name, "metadata": metadata, "spec": spec}
    check(body)
    return body


def make_name(text: str) -> str:
    """Return a name that Kubernetes takes for a Service, made of a manifest's. Raises InputInvalid when nothing is left."""
    name = re.sub("[^a-z0-9]+", "-", text.lower())[:50].strip("-")
    if not re.match("[a-z]", name):
        raise InputInvalid(f"The manifest's name {text!r} makes no name of a ScoringModel: give one by --name.")
    return name


def check(body: Manifest) -> None:
    """Raise InputInvalid, naming the fields, when the operator would refuse the model."""
    try:
        ScoringModel.parse({**body, "metadata": {**body["metadata"], "uid": ""}})
    except ModelProblem as problem:
        raise InputInvalid(problem.message) from problem
