"""Behaviour of samples/resnet152/package.py: what the archive holds, that it is reproducible, and what is refused."""

import base64
import hashlib
import io
import json
import re
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torchvision
import typer
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from samples.resnet152.checkpoint import Checkpoint, PackagingError, find_weights, initialise_state, read_checkpoint
from samples.resnet152.direct import Classifier
from samples.resnet152.formats import FORMATS, Running
from samples.resnet152.package import describe_preprocessing, main, package
from scoring_runtime.expectation import check_answer
from scoring_runtime.manifest import read_manifest
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.engines import computes_in
from scoring_runtime.scorers.onnx import OnnxScorer
from scoring_runtime.tasks import TaskLimits
from scoring_runtime.tasks.image_classification import ImageClassification

NEEDS_BFLOAT16 = pytest.mark.skipif(
    not computes_in("bfloat16"), reason="this CPU has no bfloat16, so there is nothing to measure"
)
SAMPLE = Path(__file__).parents[3] / "samples" / "resnet152"


def invoke(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def read_part(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        part = tar.extractfile(name)
        assert part is not None
        return part.read()


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return read_checkpoint("initialised", "resnet18", find_weights("resnet18", "DEFAULT"))


@pytest.fixture(scope="module")
def initialised(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return package(checkpoint, tmp_path_factory.mktemp("initialised"), "torch")


@pytest.fixture(scope="module")
def onnx_package(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return package(checkpoint, tmp_path_factory.mktemp("onnx"), "onnx", Running("onnxruntime"))


@pytest.fixture(scope="module")
def archive(initialised: dict[str, Any]) -> Path:
    return Path(initialised["archive"])


@pytest.fixture(scope="module")
def state(archive: Path) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = safetensors.torch.load(read_part(archive, "model.safetensors"))
    return loaded


def test_archive_is_the_same_when_packaged_again(initialised: dict[str, Any], tmp_path: Path) -> None:
    arguments = ("--output", tmp_path, "--architecture", "resnet18", "--format", "torch", "--output-format", "json")
    result = invoke("initialised", *arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["digest"] == initialised["digest"]


def test_onnx_archive_is_the_same_when_packaged_again_for_a_named_engine(
    onnx_package: dict[str, Any], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    assert package(checkpoint, tmp_path, "onnx", Running("onnxruntime"))["digest"] == onnx_package["digest"]


def test_engine_is_measured_and_noted(checkpoint: Checkpoint, tmp_path: Path) -> None:
    archive = Path(package(checkpoint, tmp_path, "onnx")["archive"])
    options = json.loads(read_part(archive, "manifest.json"))["options"]
    assert options["engine"] in {"onnxruntime", "openvino"}
    assert options["precision"] == "float32"
    assert set(options["measured"]["milliseconds"]) == {"onnxruntime", "openvino"}


@NEEDS_BFLOAT16
def test_bfloat16_is_measured_too_and_keeps_within_the_tolerance(checkpoint: Checkpoint, tmp_path: Path) -> None:
    arguments = ("--output", tmp_path, "--architecture", "resnet18", "--precision", "auto", "--tolerance", "0.005")
    result = invoke("initialised", *arguments, "--output-format", "json")
    assert result.exit_code == 0, result.output
    manifest = json.loads(read_part(Path(json.loads(result.stdout)["archive"]), "manifest.json"))
    assert set(manifest["options"]["measured"]["milliseconds"]) == {"onnxruntime", "openvino", "openvino bfloat16"}
    assert "refused" not in manifest["options"]["measured"]
    assert manifest["expect"]["tolerance"] == 0.005


@NEEDS_BFLOAT16
def test_auto_leaves_bfloat16_where_its_answers_lie_too_far_off(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "scoring_runtime.scorers.onnx.SHARE", 1000.0
    )  # Chosen however slow it is for so small a network.
    archive = Path(package(checkpoint, tmp_path, "onnx", Running("auto", "auto", tolerance=1e-5))["archive"])
    options = json.loads(read_part(archive, "manifest.json"))["options"]
    assert options["precision"] == "float32"
    assert "from torchvision's" in options["measured"]["refused"]["bfloat16"]


@NEEDS_BFLOAT16
def test_bfloat16_whose_answers_lie_too_far_off_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match=r"openvino in bfloat16: its probabilities lie up to .*Give --tolerance"):
        package(checkpoint, tmp_path, "onnx", Running("openvino", "bfloat16", tolerance=1e-5))


def test_precision_that_no_engine_was_named_for_is_refused(tmp_path: Path) -> None:
    arguments = ("--architecture", "resnet18", "--engine", "onnxruntime", "--precision", "bfloat16")
    result = invoke("initialised", "--output", tmp_path, *arguments)
    assert result.exit_code == 1
    assert "--precision is 'bfloat16', which only the engine openvino has" in result.stderr


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_onnx_answers_the_example_as_the_manifest_expects(
    onnx_package: dict[str, Any], tmp_path: Path, engine: str
) -> None:
    with tarfile.open(onnx_package["archive"]) as tar:
        tar.extractall(tmp_path, filter="data")
    manifest = read_manifest(tmp_path)
    task = ImageClassification(manifest, tmp_path, TaskLimits(max_image_pixels=10**6, decoding_threads=1))
    scorer = OnnxScorer()
    scorer.load(ModelSource(tmp_path / manifest.model, tmp_path, {"engine": engine}))
    task.attach(scorer)
    (outputs,) = task.score([task.read(task.make_example())])
    assert manifest.expect is not None
    check_answer(task.write(outputs), manifest.expect)


def test_every_format_has_its_writer() -> None:
    assert set(FORMATS) == {"onnx", "torch", "torchscript", "exported", "tensorflow", "keras"}
    assert [name for name, form in FORMATS.items() if form.layout == "NHWC"] == ["tensorflow", "keras"]


@pytest.mark.parametrize("name", ["torchscript", "exported"])
def test_format_is_packaged_with_its_model(checkpoint: Checkpoint, tmp_path: Path, name: Any) -> None:
    result = package(checkpoint, tmp_path, name)
    manifest = json.loads(read_part(Path(result["archive"]), "manifest.json"))
    assert (manifest["format"], manifest["model"]) == (FORMATS[name].runtime_format, FORMATS[name].model)
    assert read_part(Path(result["archive"]), manifest["model"])
    assert yaml.safe_load(Path(result["scoring_model"]).read_text())["metadata"]["name"] == f"resnet18-{name}"


def test_archive_has_the_same_weights_whatever_the_callers_random_state(archive: Path) -> None:
    torch.manual_seed(1234)
    before = torch.random.get_rng_state()
    again = initialise_state("resnet18", find_weights("resnet18", "DEFAULT"))
    assert torch.equal(torch.random.get_rng_state(), before)
    packed = safetensors.torch.load(read_part(archive, "model.safetensors"))
    assert all(torch.equal(again[name], tensor) for name, tensor in packed.items())


def test_archive_holds_plain_files_without_time_or_owner(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == ["labels.txt", "manifest.json", "model.safetensors"]
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode, m.isfile()) for m in members} == {
        (0, 0, 0, "", "", 0o644, True)
    }


def test_output_folder_holds_nothing_but_the_results(archive: Path) -> None:
    names = sorted(path.name for path in archive.parent.iterdir())
    assert names == ["resnet18-torch.tar", "scoringmodel-gpu.yaml", "scoringmodel.yaml"]


def test_digest_and_size_are_those_of_the_file(initialised: dict[str, Any], archive: Path) -> None:
    content = archive.read_bytes()
    assert initialised["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert initialised["bytes"] == len(content)


@pytest.mark.parametrize(
    ("architecture", "name"), [("resnet152", "DEFAULT"), ("resnet152", "IMAGENET1K_V1"), ("vit_h_14", "DEFAULT")]
)
def test_preprocessing_equals_the_metadata_of_the_weights(architecture: str, name: str) -> None:
    weights = torchvision.models.get_model_weights(architecture)[name]
    preset = weights.transforms()
    described = describe_preprocessing(find_weights(architecture, name))
    assert [described["resizeSize"]] == preset.resize_size
    assert [described["cropSize"]] == preset.crop_size
    assert described["interpolation"] == preset.interpolation.value
    assert described["antialias"] is preset.antialias
    assert (described["mean"], described["std"]) == (preset.mean, preset.std)


def test_manifest_describes_an_image_classifier(archive: Path) -> None:
    manifest = json.loads(read_part(archive, "manifest.json"))
    assert (manifest["name"], manifest["format"], manifest["task"]) == ("resnet18", "torch", "image-classification")
    assert (manifest["model"], manifest["labels"]) == ("model.safetensors", "labels.txt")
    assert manifest["options"] == {"architecture": "resnet18"}
    parameters = manifest["parameters"]
    assert (parameters["top"], parameters["layout"], parameters["activation"]) == (3, "NCHW", "softmax")
    assert set(parameters["preprocessing"]) == {
        "resizeSize", "cropSize", "interpolation", "antialias", "mean", "std",
    }  # fmt: skip


def test_example_is_a_small_photograph_whose_best_classes_are_apart(archive: Path) -> None:
    manifest = json.loads(read_part(archive, "manifest.json"))
    (encoded,) = manifest["example"]["input"].values()
    content = base64.b64decode(encoded, validate=True)
    assert len(content) < 20_000
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (384, 256))
    probabilities = [probability for _, probability in manifest["expect"]["answer"]["image"]]
    tolerance = manifest["expect"]["tolerance"]
    assert min(better - worse for better, worse in pairwise(probabilities)) > 2 * tolerance


def test_expected_answer_is_that_of_torchvision(archive: Path, checkpoint: Checkpoint) -> None:
    expected = json.loads(read_part(archive, "manifest.json"))["expect"]["answer"]["image"]
    labels = (SAMPLE / "labels.txt").read_text().splitlines()
    classifier = Classifier(checkpoint.build_network(), checkpoint.weights.transforms(), labels)
    found = classifier.classify((SAMPLE / "example.jpg").read_bytes())
    assert [list(pair) for pair in found] == [[label, pytest.approx(value, abs=1e-6)] for label, value in expected]


def test_labels_are_in_torchvisions_order_with_synset_ids(archive: Path) -> None:
    labels = read_part(archive, "labels.txt").decode().splitlines()
    categories = torchvision.models.ResNet152_Weights.DEFAULT.meta["categories"]
    renamed = {134: "crane bird", 639: "maillot tank suit"}
    assert len(labels) == len(categories) == 1000
    assert all(re.fullmatch(r"n\d{8} \S.*\S", label) for label in labels)
    first_words = [label.split(" ", 1)[1].split(", ")[0].lower() for label in labels]
    assert {
        index: category.lower() for index, category in enumerate(categories) if category.lower() != first_words[index]
    } == renamed
    assert labels[287] == "n02127052 lynx, catamount"


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_state_dict_of_a_file_is_packaged_unchanged(
    state: dict[str, torch.Tensor], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"trained{suffix}"
    if suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    result = package(read_checkpoint(str(path), "resnet18", find_weights("resnet18", "DEFAULT")), tmp_path, "torch")
    packed = safetensors.torch.load(read_part(Path(result["archive"]), "model.safetensors"))
    assert packed.keys() == state.keys()
    assert all(torch.equal(packed[name], tensor) for name, tensor in state.items())


def test_scoring_models_are_filled_with_place_and_digest(
    initialised: dict[str, Any], onnx_package: dict[str, Any]
) -> None:
    for result, name, classes in ((initialised, "torch", ["cpu", "gpu"]), (onnx_package, "onnx", ["cpu"])):
        models = [yaml.safe_load(Path(path).read_text()) for path in result["scoring_models"]]
        assert [model["spec"]["hardwareClass"] for model in models] == classes
        for model in models:
            assert model["metadata"]["name"] == ("resnet18" if name == "onnx" else "resnet18-torch")
            assert model["spec"]["model"] == {
                "uri": f"pvc://models/resnet18/resnet18-{name}.tar",
                "format": name,
                "digest": result["digest"],
            }


@pytest.mark.parametrize(
    ("name", "hardware_class", "form"), [("scoringmodel", "cpu", "onnx"), ("scoringmodel-gpu", "gpu", "torch")]
)
def test_checked_in_scoring_model_asks_for_its_hardware_class(name: str, hardware_class: str, form: str) -> None:
    assert yaml.safe_load((SAMPLE / f"{name}.yaml").read_text()) == {
        "apiVersion": "scoring.dev/v1beta1",
        "kind": "ScoringModel",
        "metadata": {"name": "resnet152"},
        "spec": {
            "model": {"uri": f"pvc://models/resnet152/resnet152-{form}.tar", "format": form},
            "hardwareClass": hardware_class,
            "replicas": 1,
        },
    }


def test_text_output_names_file_and_digest(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(state, tmp_path / "trained.pt")
    arguments = ("--output", tmp_path / "new" / "folder", "--architecture", "resnet18", "--format", "torch")
    result = invoke(tmp_path / "trained.pt", *arguments)
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "new" / "folder" / "resnet18-torch.tar") in result.stdout
    assert re.search(r"^digest +sha256:[0-9a-f]{64}$", result.stdout, re.MULTILINE)


def write_bad_file(kind: str, folder: Path, state: dict[str, torch.Tensor]) -> Path:
    path = folder / ("bad.safetensors" if kind == "damaged safetensors" else "bad.pt")
    key = "fc.weight"
    contents: dict[str, object] = {
        "whole model": torch.nn.Linear(2, 2),
        "training checkpoint": {"epoch": 3, "state_dict": state},
        "list": [1, 2],
        "missing key": {name: tensor for name, tensor in state.items() if name != key},
        "other shape": state | {key: torch.zeros(10, 512)},
        "not finite": state | {key: torch.full_like(state[key], torch.nan)},
    }
    if kind in contents:
        torch.save(contents[kind], path)
    else:
        path.write_bytes(b"\x80\x02 not a model")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("damaged safetensors", "cannot be read as a state dict"),
        ("damaged pickle", "cannot be read as a state dict"),
        ("whole model", "cannot be read as a state dict"),
        ("training checkpoint", r"save model\.state_dict\(\) alone"),
        ("list", r"save model\.state_dict\(\) alone"),
        ("missing key", r"does not fit resnet18.*fc\.weight"),
        ("other shape", r"does not fit resnet18.*size mismatch for fc\.weight"),
        ("not finite", r"not finite numbers, first in fc\.weight"),
    ],
)
def test_file_is_refused_when_it_holds_no_fitting_state(
    kind: str, message: str, tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    path = write_bad_file(kind, tmp_path, state)
    result = invoke(path, "--output", tmp_path / "out", "--architecture", "resnet18")
    assert result.exit_code == 1
    assert re.fullmatch(rf"error: .*{message}.*\n", result.stderr)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.pt"], "absent.pt does not exist"),
        (["model.onnx"], "give 'pretrained', 'initialised' or a .safetensors, .pt or .pth file"),
        (["initialised", "--architecture", "resnet153"], "'resnet153' is not a classifier of torchvision.models"),
        (["initialised", "--architecture", "fcn_resnet50"], "is not a classifier of torchvision.models"),
        (["initialised", "--weights", "V7"], "it has IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT"),
    ],
)
def test_arguments_are_refused_with_what_would_do(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = invoke(*arguments, "--output", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_output_is_refused_when_it_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    result = invoke("initialised", "--output", tmp_path / "taken", "--architecture", "resnet18", "--format", "torch")
    assert result.exit_code == 1
    assert "Cannot write into" in result.stderr


def test_pretrained_says_the_remedy_when_the_internet_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    result = invoke("pretrained", "--output", tmp_path / "out", "--architecture", "resnet18")
    assert result.exit_code == 1
    assert (
        "Download it where the internet can be reached and give the file (python -m samples.resnet152.package resnet18-"
        in result.stderr
    )
