"""A model in real pods on the local cluster's real node, and the command line beside it, as a user has it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import Outcome, Scoring, run_scoring
from local_clusters import ROOT, open_kubectl
from packaged_samples import PackagedSample, package_sample
from samples.demo.clusters import Choice, Cluster, open_cluster
from samples.demo.install import install_operator
from samples.demo.volumes import close_volume, copy_artifact, open_volume
from scoring_models import ScoringModels, open_namespace

SMALL_CLASS = ROOT / "tests" / "e2e" / "hardware-class.yaml"


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """Return the local cluster."""
    return open_cluster(Choice.LOCAL)


@pytest.fixture(scope="session")
def faq(tmp_path_factory: pytest.TempPathFactory) -> PackagedSample:
    """Train and package the FAQ."""
    return package_sample(["-m", "samples.faq", "train"], tmp_path_factory.mktemp("faq"))


@pytest.fixture(scope="session")
def models(cluster: Cluster, faq: PackagedSample) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace with the operator installed, and a volume that holds the FAQ."""
    images = install_operator(cluster, ["sklearn"])
    kubectl = open_kubectl(cluster)
    kubectl("apply", "-f", str(SMALL_CLASS))
    with open_namespace(kubectl, "cli") as models:
        namespace = models.kubectl.namespace
        kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        open_volume(cluster, namespace, images["runtime-sklearn"])
        copy_artifact(cluster, namespace, faq.archive, faq.path_on_claim)
        close_volume(cluster, namespace)
        yield models


@pytest.fixture(scope="session")
def scoring(models: ScoringModels) -> Scoring:
    """Return the command line for the test's namespace."""
    options = ("--kubeconfig", models.kubectl.kubeconfig, "--namespace", models.kubectl.namespace)

    def run(command: str, *arguments: object, stdin: str = "") -> Outcome:
        return run_scoring(command, *options, *arguments, stdin=stdin)

    return run


@pytest.fixture(scope="session")
def client_key(models: ScoringModels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key with the command line: its hash in the endpoint's Secret, itself in a file and in a Secret of the client's."""
    made = run_scoring("keys", "new", "shop", "--secret", "faq-keys")
    assert made.status == 0, made.stderr
    models.kubectl("apply", "-f", "-", stdin=made.stdout)
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(made.stderr.split()[-1])
    models.kubectl("create", "secret", "generic", "client", f"--from-file=key={path}")
    return path
