"""Loading: manifests, formats and model files, and the message of each way they can be wrong."""

import json
import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import safetensors.torch
import skops.io
import torch
import torchvision
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from scoring_runtime import scorers
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.batching import Batcher
from scoring_runtime.errors import (
    DigestRequiredError,
    FormatNotInstalledError,
    LoadError,
    ManifestInvalidError,
    ModelInvalidError,
    NotReadyError,
    OutOfMemoryError,
    ScorerFailedError,
    UnexpectedAnswerError,
    UnknownFormatError,
)
from scoring_runtime.loading import load_model
from scoring_runtime.model import ModelSlot, ServedModel
from tensor_models import write_artifact


@pytest.fixture
def load(make_settings: Any) -> Any:
    def run(path: Path, digest: bool = True, **values: Any) -> ServedModel:
        given = {"model_digest": compute_digest(path)} if digest else {}
        slot = ModelSlot()
        model = load_model(make_settings(path.as_uri(), **given, **values), slot, Batcher(1))
        assert slot.get_model() is model
        return model

    return run


def change_manifest(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    fields = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in fields.items() if value is not ...}))


@pytest.fixture
def images(image_folder: Path, tmp_path: Path) -> Path:
    """A copy of the image artifact that a test may break."""
    folder = tmp_path / "images"
    folder.mkdir()
    for file in image_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def change_part(folder: Path, part: str, **changes: Any) -> None:
    """Change some of the manifest's `options` or `parameters`."""
    before = json.loads((folder / "manifest.json").read_text())[part]
    change_manifest(folder, **{part: {**before, **changes}})


def test_skops_is_loaded_without_a_digest_and_joblib_is_not(load: Any, faq_folder: Path, pipeline: Pipeline) -> None:
    assert load(faq_folder, digest=False).format == "sklearn"

    joblib.dump(pipeline, faq_folder / "pipeline.joblib")
    change_manifest(faq_folder, model="pipeline.joblib")
    with pytest.raises(DigestRequiredError, match=r"^pipeline\.joblib can run code"):
        load(faq_folder, digest=False)
    assert load(faq_folder).format == "sklearn"


def test_a_pickle_is_never_opened_without_a_digest(load: Any, faq_folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "exploded",)

    (faq_folder / "model.pkl").write_bytes(pickle.dumps(Bomb()))
    change_manifest(faq_folder, model="model.pkl")
    with pytest.raises(DigestRequiredError):
        load(faq_folder, digest=False)
    assert not (tmp_path / "exploded").exists()


def test_skops_with_other_types_is_refused_and_names_them(load: Any, faq_folder: Path, pipeline: Pipeline) -> None:
    first = ("call", FunctionTransformer(json.dumps))
    skops.io.dump(Pipeline([first, *pipeline.steps]), faq_folder / "pipeline.skops")
    with pytest.raises(ModelInvalidError) as caught:
        load(faq_folder)
    assert caught.value.message == (
        "pipeline.skops holds types that are not trusted: json.dumps. Save the model without them, or as .joblib and give the "
        "artifact's digest."
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ...}, "manifest.json: name: Field required."),
        ({"version": 3}, "manifest.json: version: Input should be a valid string."),
        ({"task": "sorting"}, "manifest.json: task: Input should be 'faq-matching', 'image-classification', 'prediction' or 'custom'."),
        ({"model": "../pipeline.skops"}, "manifest.json: model: Value error, must be a path inside the artifact's folder."),
        ({"model": "/etc/passwd"}, "manifest.json: model: Value error, must be a path inside the artifact's folder."),
        ({"parameters": {}}, "manifest.json: parameters.originals: Field required."),
        ({"parameters": {"originals": "originals.json", "top": 0}}, "manifest.json: parameters.top: Input should be greater than or equal to 1."),
        ({"parameters": {"originals": "originals.json", "topp": 2}}, "manifest.json: parameters.topp: Extra inputs are not permitted."),
    ],
)  # fmt: skip
def test_a_wrong_manifest_names_the_field(load: Any, faq_folder: Path, changes: Any, message: str) -> None:
    change_manifest(faq_folder, **changes)
    with pytest.raises(ManifestInvalidError) as caught:
        load(faq_folder)
    assert caught.value.message == f"{message} Correct it and give the artifact's new digest."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "other.skops"}, "manifest.json: model names 'other.skops', which is not in the artifact."),
        ({"parameters": {"originals": "no.json"}}, "manifest.json: parameters.originals names 'no.json', which is not a file of the artifact."),
        ({"format": ...}, "manifest.json: format is missing and SCORING_MODEL_FORMAT is not set: set one of them."),
        ({"example": {"input": " "}}, "manifest.json: example is not a request that scores: input is empty: send a question."),
    ],
)  # fmt: skip
def test_a_manifest_that_does_not_fit_the_artifact_is_invalid(
    load: Any, faq_folder: Path, changes: Any, message: str
) -> None:
    change_manifest(faq_folder, **changes)
    with pytest.raises(ManifestInvalidError) as caught:
        load(faq_folder)
    assert caught.value.message == message


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "\\ud800"}', "\xff"])
def test_a_manifest_that_is_no_json_object_is_invalid(load: Any, faq_folder: Path, text: str) -> None:
    (faq_folder / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ManifestInvalidError, match=r"^manifest\.json: "):
        load(faq_folder)


def test_a_missing_manifest_says_where_it_belongs(load: Any, faq_folder: Path) -> None:
    inner = faq_folder / "model"
    inner.mkdir()
    (faq_folder / "manifest.json").rename(inner / "manifest.json")
    with pytest.raises(ManifestInvalidError) as caught:
        load(faq_folder)
    assert caught.value.message == (
        "manifest.json is in the folder 'model' of the artifact: pack the contents of 'model' instead."
    )
    (inner / "manifest.json").unlink()
    with pytest.raises(
        ManifestInvalidError, match=r"^The artifact has no manifest\.json at its top: add one that names"
    ):
        load(faq_folder)


def test_a_single_file_of_weights_needs_a_manifest(load: Any, faq_folder: Path) -> None:
    (faq_folder / "weights.safetensors").touch()
    with pytest.raises(ManifestInvalidError, match=r"is a single file that .* such as `scoring package` makes"):
        load(faq_folder / "weights.safetensors", model_format="torch")


@pytest.mark.parametrize(
    ("originals", "message"),
    [
        ("[]", "originals.json: List should have at least 1 item after validation, not 0."),
        ('[{"id": 1, "answerId": 2}]', "originals.json[0][text]: Field required."),
        ('[{"id": 1.5, "answerId": 2, "text": "a"}]', "originals.json[0][id]: Input should be a valid integer."),
        (
            '[{"id": 1, "answerId": 18446744073709551616, "text": "a"}]',
            "originals.json[0][answerId]: Input should be less than 18446744073709551616.",
        ),
        ("{", "originals.json: Invalid JSON: EOF while parsing an object at line 1 column 1."),
    ],
)
def test_wrong_originals_name_the_row(load: Any, faq_folder: Path, originals: str, message: str) -> None:
    (faq_folder / "originals.json").write_text(originals)
    with pytest.raises(ManifestInvalidError) as caught:
        load(faq_folder)
    assert caught.value.message == f"{message} It is a list of id, answerId and text."


def test_an_unknown_format_lists_the_installed_ones(load: Any, faq_folder: Path) -> None:
    with pytest.raises(UnknownFormatError) as caught:
        load(faq_folder, model_format="caffe")
    assert caught.value.message == (
        "No scorer for the format 'caffe'. Installed: keras, mlflow, onnx, python, sklearn, tensorflow, torch. Correct "
        "spec.model.format."
    )


def test_a_format_whose_packages_are_missing_names_the_image(load: Any, faq_folder: Path, monkeypatch: Any) -> None:
    # What an import raises where the package is not installed.
    monkeypatch.setitem(__import__("sys").modules, "skops", None)
    monkeypatch.delitem(__import__("sys").modules, "scoring_runtime.scorers.sklearn", raising=False)
    with pytest.raises(FormatNotInstalledError) as caught:
        scorers.create_scorer("sklearn")
    assert caught.value.message == (
        "The format 'sklearn' needs the package 'skops', which is not in this image. Use the image of the variant "
        "'sklearn' (or install scoring-runtime[sklearn])."
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.skops", b"not a zip", "model.skops cannot be loaded: BadZipFile: File is not a zip file"),
        ("model.pkl", b"\x80", "model.pkl cannot be loaded: UnpicklingError: pickle data was truncated"),
        ("model.onnx", b"x", "model.onnx is no scikit-learn model file: name it .skops, .joblib, .pkl, .pickle."),
    ],
)  # fmt: skip
def test_a_file_that_is_no_model_is_invalid(
    load: Any, faq_folder: Path, name: str, content: bytes, message: str
) -> None:
    (faq_folder / name).write_bytes(content)
    change_manifest(faq_folder, model=name)
    with pytest.raises(ModelInvalidError) as caught:
        load(faq_folder)
    assert caught.value.message == message


def test_a_model_that_cannot_score_its_example_says_why(load: Any, faq_folder: Path) -> None:
    skops.io.dump(DummyClassifier(), faq_folder / "pipeline.skops")
    with pytest.raises(ScorerFailedError) as caught:
        load(faq_folder)
    assert caught.value.message.startswith("The model could not score its example: NotFittedError: ")


def test_a_model_that_answers_nan_for_its_example_says_so(load: Any, faq_folder: Path, pipeline: Pipeline) -> None:
    broken = deepcopy(pipeline)
    broken[-1].coef_[:] = np.nan
    skops.io.dump(broken, faq_folder / "pipeline.skops")
    with pytest.raises(ScorerFailedError, match="could not score its example: The model answered NaN or an infinite"):
        load(faq_folder)


def test_a_network_with_nan_weights_says_so(load: Any, images: Path, network: torch.nn.Module) -> None:
    state = {**network.state_dict(), "fc.bias": torch.full((10,), torch.nan)}
    safetensors.torch.save_file(state, images / "model.safetensors")
    with pytest.raises(ScorerFailedError, match="could not score its example: The model answered NaN or an infinite"):
        load(images)


def test_a_model_whose_answer_to_its_example_is_no_json_says_so(load: Any, tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "surrogate", "Surrogate")
    with pytest.raises(ScorerFailedError, match="could not score its example: TypeError: str is not valid UTF-8"):
        load(folder)


def test_a_model_that_does_not_fit_into_memory_says_so(load: Any, faq_folder: Path) -> None:
    class Huge:
        def __reduce__(self) -> Any:
            return bytes, (2**62,)

    (faq_folder / "model.pkl").write_bytes(pickle.dumps(Huge()))
    change_manifest(faq_folder, model="model.pkl")
    with pytest.raises(OutOfMemoryError) as caught:
        load(faq_folder)
    assert caught.value.message == "The model does not fit into memory: raise the memory limit."


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_a_state_dict_is_loaded(load: Any, images: Path, network: torch.nn.Module, suffix: str) -> None:
    torch.save(network.state_dict(), images / f"model{suffix}")
    change_manifest(images, model=f"model{suffix}")
    assert load(images).format == "torch"
    with pytest.raises(DigestRequiredError):
        load(images, digest=False)


def test_a_pt_file_that_runs_code_is_refused_even_with_its_digest(load: Any, images: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "exploded",)

    torch.save({"conv1.weight": Bomb()}, images / "model.pt")
    change_manifest(images, model="model.pt")
    with pytest.raises(ModelInvalidError, match=r"^model\.pt cannot be loaded: UnpicklingError: "):
        load(images)
    assert not (tmp_path / "exploded").exists()


def test_weights_of_another_architecture_name_the_keys(load: Any, images: Path) -> None:
    change_part(images, "options", architecture="resnet50")
    with pytest.raises(ModelInvalidError) as caught:
        load(images)
    assert caught.value.message.startswith("The weights are of another architecture: missing layer1.0.conv3.weight, ")
    assert caught.value.message.endswith(" more; unexpected none.")


def test_weights_of_another_shape_name_both_shapes(load: Any, images: Path) -> None:
    (images / "labels.txt").write_text("only\nthree\nlabels\n")
    with pytest.raises(ModelInvalidError) as caught:
        load(images)
    assert caught.value.message == (
        "2 weights have another shape than architecture and labels ask for: fc.weight is (10, 512), expected (3, 512)."
    )


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "model.bin"])
def test_a_file_that_is_no_state_dict_is_invalid(load: Any, images: Path, name: str) -> None:
    (images / name).write_bytes(b"nothing of the kind")
    change_manifest(images, model=name)
    with pytest.raises(ModelInvalidError, match=name):
        load(images)
    torch.save([torch.zeros(1)], images / "list.pt")
    change_manifest(images, model="list.pt")
    with pytest.raises(ModelInvalidError, match=r"list\.pt does not hold a state dict"):
        load(images)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": {"architecture": "resnet-18"}}, "options.architecture: 'resnet-18' is not known. Did you mean: resnet18"),
        ({"options": {"architecture": "os.system"}}, "options.architecture: 'os.system' is not known."),
        ({"options": {"architecture": "resnet18", "kind": "pickle"}}, "options.kind: Input should be"),
        ({"parameters": {"preprocessing": {"interpolation": "cubic"}}}, "parameters.preprocessing.interpolation: Input should be"),
        ({"parameters": {"preprocessing": {"cropSize": 0}}}, "parameters.preprocessing.cropSize: Input should be greater"),
        ({"parameters": {"preprocessing": {"mean": [1, 2]}}}, "parameters.preprocessing.mean"),
        ({"parameters": {"layout": "CHWN"}}, "parameters.layout: Input should be 'NCHW' or 'NHWC'"),
        ({"labels": "manifest.json/x"}, "labels names"),
        ({"labels": ...}, "labels"),
    ],
)  # fmt: skip
def test_a_wrong_manifest_of_images_names_the_field(load: Any, images: Path, changes: Any, message: str) -> None:
    change_manifest(images, **changes)
    with pytest.raises(ManifestInvalidError) as caught:
        load(images)
    assert message in caught.value.message


@pytest.mark.parametrize("labels", [b"", b"a\n\nb\n", b"\xff\xfe"])
def test_wrong_labels_are_invalid(load: Any, images: Path, labels: bytes) -> None:
    (images / "labels.txt").write_bytes(labels)
    with pytest.raises(ManifestInvalidError, match=r"^labels\.txt is "):
        load(images)


def test_half_precision_weights_are_served_in_single_precision(
    load: Any, images: Path, network: torch.nn.Module
) -> None:
    halves = {key: value.half() if value.is_floating_point() else value for key, value in network.state_dict().items()}
    safetensors.torch.save_file(halves, images / "model.safetensors")
    assert load(images).task is not None


@pytest.mark.parametrize("architecture", ["resnet152", "mobilenet_v3_small", "efficientnet_b0", "swin_t", "vit_b_16"])
def test_other_architectures_are_filled_completely(load: Any, images: Path, architecture: str) -> None:
    with torch.device("meta"):
        model = torchvision.models.get_model(architecture, weights=None, num_classes=10)
    state = {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in model.state_dict().items()}
    safetensors.torch.save_file(state, images / "model.safetensors")
    sizes = {"resizeSize": 224, "cropSize": 224}
    change_manifest(images, options={"architecture": architecture}, parameters={"preprocessing": sizes})
    assert load(images).manifest.options["architecture"] == architecture


def answer_of(load: Any, folder: Path) -> Any:
    task = load(folder).task
    (outputs,) = task.score([task.read(task.make_example())])
    return task.write(outputs)


def test_a_model_that_answers_its_example_as_expected_is_served(load: Any, faq_folder: Path) -> None:
    answer = [list(match) for match in answer_of(load, faq_folder)]
    change_manifest(faq_folder, expect={"answer": answer, "tolerance": 1e-9})
    assert load(faq_folder).manifest.expect is not None


def test_a_model_that_answers_its_example_otherwise_is_refused_and_the_place_is_named(
    load: Any, faq_folder: Path
) -> None:
    answer = [list(match) for match in answer_of(load, faq_folder)]
    answer[1][2] += 0.1
    change_manifest(faq_folder, expect={"answer": answer})
    with pytest.raises(
        UnexpectedAnswerError, match=r"expects: answer\[1\]\[2\] is 0\.\d+, expected 0\.\d+ \(tolerance 0\.001\)"
    ):
        load(faq_folder)
    change_manifest(faq_folder, expect={"answer": answer, "tolerance": 0.2})
    assert load(faq_folder) is not None


def test_the_slot_says_what_is_being_done(make_settings: Any, faq_folder: Path) -> None:
    slot = ModelSlot()
    (faq_folder / "pipeline.skops").write_text("")
    with pytest.raises(LoadError):
        load_model(make_settings(faq_folder.as_uri()), slot, Batcher(1))
    with pytest.raises(NotReadyError, match=r"^Not ready: the model is being loaded\. Try again later\.$"):
        slot.get_model()
