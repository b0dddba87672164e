"""Every format in a real pod: a sample packaged by its own program, served, and asked for what its manifest promises.

Those whose images hold gigabytes are served by `make formats` only.
"""

import json
from collections.abc import Callable, Iterator
from time import monotonic

import httpx
import pytest

from endpoints import find_address
from local_clusters import ROOT, run_local_cluster
from packaged_samples import PackagedSample, package_sample
from samples.demo.clusters import Cluster
from samples.demo.volumes import close_volume, copy_artifact, open_volume
from scoring_models import ScoringModels
from scoring_runtime.expectation import find_difference

RESNET = ("-m", "samples.resnet152.package", "initialised", "--format")
SAMPLES: dict[str, tuple[str, ...]] = {
    "sklearn": ("-m", "samples.tabular"),
    "python": ("-m", "samples.custom"),
    "onnx": (*RESNET, "onnx", "--engine", "onnxruntime"),
    "onnx-embeddings": ("-m", "samples.faq", "train", "--form", "embeddings"),
}
LARGE_SAMPLES: dict[str, tuple[str, ...]] = {
    "mlflow": ("-m", "samples.mlflow"),
    "torch": (*RESNET, "torch"),
    "torchscript": (*RESNET, "torchscript"),
    "exported": (*RESNET, "exported"),
    "tensorflow": (*RESNET, "tensorflow"),
    "keras": (*RESNET, "keras"),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Serve each of the samples in turn."""
    samples = {**SAMPLES, **(LARGE_SAMPLES if metafunc.config.getoption("--large-images") else {})}
    metafunc.parametrize("sample", samples.values(), ids=samples.keys(), indirect=True, scope="module")


@pytest.fixture(scope="module")
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PackagedSample:
    """Package one of the samples."""
    return package_sample(request.param, tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def custom_image(images: dict[str, str]) -> str:
    """Return the image of the custom sample: its package on the sklearn runtime."""
    folder = ROOT / "samples" / "custom"
    tag = "localhost/scoring-e2e-custom"
    base = f"BASE_IMAGE={images['runtime-sklearn']}"
    words = ("--dockerfile", str(folder / "Dockerfile"), "--context", str(folder), "--tag", tag, "--build-arg", base)
    references: dict[str, str] = json.loads(run_local_cluster("load-image", *words, "--output", "json"))
    return references[tag]


@pytest.fixture
def name(
    sample: PackagedSample,
    models: ScoringModels,
    cluster: Cluster,
    images: dict[str, str],
    custom_image: str,
    record_property: Callable[[str, object], None],
) -> Iterator[str]:
    """Put the artifact on the volume, apply its ScoringModel and wait until it is ready; yield its name, and tell how long that took."""
    namespace, body = models.kubectl.namespace, sample.body
    open_volume(cluster, namespace, images["runtime-sklearn"])
    copy_artifact(cluster, namespace, sample.archive, sample.path_on_claim)
    close_volume(cluster, namespace)
    if "runtime" in body["spec"]:
        body["spec"]["runtime"]["image"] = custom_image
    body["metadata"]["namespace"] = namespace
    name = body["metadata"]["name"]
    applied = monotonic()
    models.kubectl.apply(body)
    models.wait_until_ready(name, timeout_seconds=300)
    record_property("seconds from apply to Ready", f"{monotonic() - applied:.1f}")
    yield name
    models.kubectl("delete", "scoringmodel", name)


def test_format_answers_the_example_as_its_manifest_expects(
    models: ScoringModels, sample: PackagedSample, name: str
) -> None:
    address, manifest = find_address(models.kubectl, name), sample.manifest
    response = httpx.post(f"{address}/score", json=manifest["example"], timeout=60)
    assert response.status_code == 200, response.text
    expect = manifest["expect"]
    assert find_difference(response.json()["result"][0], expect["answer"], expect.get("tolerance", 1e-3)) is None
    version = httpx.get(f"{address}/version").json()["model"]
    assert (version["digest"], version["format"]) == (sample.digest, manifest["format"])
    assert httpx.get(f"{address}/v2/models/{name}").json()["platform"] == manifest["format"]
    (pod,) = models.kubectl.list("pods", "-l", f"scoring.dev/model={name}")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
