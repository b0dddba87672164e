"""Real pods on the local cluster's real node, with the operator installed by its Helm chart.

Everything is made here from this checkout: images, artifacts (a trained FAQ, an initialised ResNet-152), the volume that holds them.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from artifacts import Artifacts
from kubectl import Kubectl
from local_clusters import open_kubectl
from packaged_samples import run_sample
from samples.demo.clusters import Choice, Cluster, open_cluster
from samples.demo.install import NAMESPACE, install_operator
from samples.demo.volumes import close_volume, copy_artifact, open_volume
from scoring_models import ScoringModels, open_namespace

VARIANTS = ["sklearn", "onnx"]
LARGE_VARIANTS = ["torch", "tensorflow", "mlflow"]
SMALL_CLASS = Path(__file__).with_name("hardware-class.yaml")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make formats` ask for the formats whose images are large."""
    parser.addoption("--large-images", action="store_true", help="Serve the formats of the large images too.")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what tests have measured, such as how long each format takes to start."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties if report.when == "call" else ():
            terminalreporter.write_line(f"{report.nodeid}: {value} {name}")


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """Return the local cluster."""
    return open_cluster(Choice.LOCAL)


@pytest.fixture(scope="session")
def images(cluster: Cluster, pytestconfig: pytest.Config) -> dict[str, str]:
    """Install the operator; return the references of all images by name."""
    is_large = pytestconfig.getoption("--large-images")
    return install_operator(cluster, [*VARIANTS, *(LARGE_VARIANTS if is_large else [])])


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster, images: dict[str, str]) -> Kubectl:
    """Return kubectl, with the operator installed and a small hardware class beside the chart's."""
    del images
    kubectl = open_kubectl(cluster)
    kubectl("apply", "-f", str(SMALL_CLASS))
    return kubectl


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl) -> Kubectl:
    """Return kubectl for the namespace that the operator runs in."""
    return kubectl.in_namespace(NAMESPACE)


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """Train and package the FAQ; package an initialised ResNet-152 as ONNX."""
    folder = tmp_path_factory.mktemp("artifacts")
    faq = run_sample("-m", "samples.faq", "train", "--output", str(folder / "faq"))
    arguments = ("initialised", "--engine", "onnxruntime", "--output", str(folder / "resnet152"))
    resnet = run_sample("-m", "samples.resnet152.package", *arguments)
    return Artifacts(
        faq=Path(faq["archive"]),
        faq_digest=faq["digest"],
        faq_manifest=Path(faq["scoring_model"]),
        held_out=Path(faq["held_out"]),
        resnet=Path(resnet["archive"]),
        resnet_manifest=Path(resnet["scoring_model"]),
    )


@pytest.fixture(scope="session")
def models(
    cluster: Cluster,
    kubectl: Kubectl,
    images: dict[str, str],
    artifacts: Artifacts,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ScoringModels]:
    """Yield the ScoringModels of a namespace under the restricted pod security standard, with a volume that holds the artifacts."""
    corrupt = tmp_path_factory.mktemp("corrupt") / "corrupt.tar"
    corrupt.write_bytes(artifacts.faq.read_bytes()[:5000])
    unlabelled = write_unlabelled(tmp_path_factory.mktemp("unlabelled") / "unlabelled.tar")
    with open_namespace(kubectl, "e2e") as models:
        namespace = models.kubectl.namespace
        kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        open_volume(cluster, namespace, images["runtime-sklearn"])
        files = {
            artifacts.faq: "faq/javascript-faq.tar",
            artifacts.resnet: "resnet152/resnet152-onnx.tar",
            corrupt: "corrupt.tar",
            unlabelled: "unlabelled.tar",
        }
        for source, target in files.items():
            copy_artifact(cluster, namespace, source, target)
        close_volume(cluster, namespace)
        yield models


def write_unlabelled(path: Path) -> Path:
    """Write an archive without a manifest."""
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "model.txt")
    return path
