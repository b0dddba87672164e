"""The torch scorer: every kind of file, numbers that equal PyTorch's own, and the message of each way it can fail."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import structlog
import torch
import torchvision
from numpy.typing import NDArray
from torch import nn
from torchvision.transforms import functional as transforms

from samples.resnet152.export_torch import write_exported, write_torchscript
from scoring_runtime.errors import (
    DeviceLostError,
    InvalidInputError,
    ManifestInvalidError,
    ModelInvalidError,
    OutOfMemoryError,
    OverloadedError,
)
from scoring_runtime.manifest import Preprocessing
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.torch import TorchScorer
from scoring_runtime.scorers.torch_batches import DirectRunner, RecordedRunner, plan_pieces, record_call
from scoring_runtime.scorers.torch_device import (
    guard_loading,
    guard_scoring,
    is_native,
    is_out_of_memory,
    raise_if_lost,
    warn_of_slow_precision,
)
from scoring_runtime.scorers.torch_networks import ImageNetwork, name_outputs
from scoring_runtime.scorers.torch_plan import TorchOptions, make_plan
from scoring_runtime.tensors import Signature

CPU = torch.device("cpu")
CLASSES = 10
PREPROCESSING = Preprocessing(cropSize=64, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))
IMAGE_SIGNATURE = {
    "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 3, -1, -1]}],
    "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, CLASSES]}],
}
PAIR_SIGNATURE = {
    "inputs": [{"name": name, "datatype": "FP32", "shape": [-1, 4]} for name in ("minuend", "subtrahend")],
    "outputs": [{"name": name, "datatype": "FP32", "shape": [-1, 4]} for name in ("difference", "product")],
}

Pixels = NDArray[np.uint8]


class Pair(nn.Module):
    """Two inputs, two outputs; the order matters."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return first - second, first * second


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(7)
    network: nn.Module = torchvision.models.resnet18(weights=None, num_classes=CLASSES).eval()
    return network


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    return np.random.default_rng(5).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def state_file(tmp_path: Path, network: nn.Module) -> Path:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(network.state_dict(), path)
    return path


@pytest.fixture
def pair_file(tmp_path: Path) -> Path:
    """An exported program, with a batch of any size."""
    items = torch.export.Dim("items", min=1, max=64)
    example = (torch.zeros(2, 4), torch.zeros(2, 4))
    program = torch.export.export(Pair(), example, dynamic_shapes=({0: items}, {0: items}))
    torch.export.save(program, tmp_path / "pair.pt2")
    return tmp_path / "pair.pt2"


@pytest.fixture
def script_file(tmp_path: Path) -> Path:
    """The same as TorchScript, as it was traced and not frozen."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated")
        traced = torch.jit.trace(Pair(), (torch.zeros(2, 4), torch.zeros(2, 4)))  # type: ignore[no-untyped-call]
    traced.save(str(tmp_path / "pair.ts"))
    return tmp_path / "pair.ts"


def load(
    path: Path, signature: Mapping[str, Any] | None = None, classes: int | None = CLASSES, **options: Any
) -> TorchScorer:
    scorer = TorchScorer()
    read = None if signature is None else Signature.model_validate(signature)
    scorer.load(ModelSource(path, path.parent, options, read, classes=classes, threads=2))
    return scorer


def classify(network: nn.Module, pixels: Pixels) -> NDArray[np.float32]:
    """What torchvision's own functions make of the pixels."""
    with torch.inference_mode():
        logits: NDArray[np.float32] = network(normalise(pixels)).numpy()
    return logits


def normalise(pixels: Pixels) -> torch.Tensor:
    floats = transforms.convert_image_dtype(torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.float32)
    normalised: torch.Tensor = transforms.normalize(floats, list(PREPROCESSING.mean), list(PREPROCESSING.std))
    return normalised


def test_images_are_normalised_as_torchvision_does() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    network = ImageNetwork(nn.Identity(), PREPROCESSING, None, channels_last=True)
    ours = network.normalise(torch.from_numpy(values))
    assert ours.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(ours, normalise(values), rtol=0, atol=1e-6)


@pytest.mark.parametrize("channels_last", [True, False])
def test_a_state_dict_scores_images_as_torchvision_does(
    state_file: Path, network: nn.Module, pixels: Pixels, channels_last: bool
) -> None:
    scorer = load(state_file, architecture="resnet18", channelsLast=channels_last)
    logits = scorer.score_images(pixels, PREPROCESSING)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, classify(network, pixels), atol=1e-4)


def test_the_report_tells_device_and_precision(state_file: Path) -> None:
    report = load(state_file, architecture="resnet18").report
    if not torch.cuda.is_available():
        assert report == {"device": "cpu", "file": "state-dict", "precision": "float32", "compile": "none"}


def test_a_state_dict_predicts_named_tensors(state_file: Path, network: nn.Module, pixels: Pixels) -> None:
    scorer = load(state_file, IMAGE_SIGNATURE, architecture="resnet18")
    answer = scorer.score({"images": normalise(pixels).numpy()})
    assert list(answer) == ["logits"]
    np.testing.assert_allclose(answer["logits"], classify(network, pixels), atol=1e-4)


def test_a_network_for_images_takes_the_tensor_image_without_a_signature(
    state_file: Path, network: nn.Module, pixels: Pixels
) -> None:
    scorer = load(state_file, architecture="resnet18")
    assert scorer.signature is not None
    assert scorer.signature.is_batched()
    answer = scorer.score({"image": normalise(pixels).numpy()})
    np.testing.assert_allclose(answer["output"], classify(network, pixels), atol=1e-4)


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_a_pickled_state_dict_is_read_as_one(tmp_path: Path, network: nn.Module, pixels: Pixels, suffix: str) -> None:
    for zipped in (True, False):
        path = tmp_path / f"model{suffix}"
        torch.save(network.state_dict(), path, _use_new_zipfile_serialization=zipped)
        scorer = load(path, architecture="resnet18")
        np.testing.assert_allclose(scorer.score_images(pixels, PREPROCESSING), classify(network, pixels), atol=1e-4)


def test_sizes_that_a_program_does_not_take_are_the_requests_error(pair_file: Path) -> None:
    longer = np.zeros((2, 5), np.float32)
    with pytest.raises(InvalidInputError, match="does not take tensors of these sizes"):
        load(pair_file, PAIR_SIGNATURE).score({"minuend": longer, "subtrahend": longer})


@pytest.mark.parametrize("name", ["model.pt", "model.pt2"])
def test_programs_written_by_the_sample_answer_as_the_network(tmp_path: Path, pixels: Pixels, name: str) -> None:
    torch.manual_seed(3)
    network = torchvision.models.resnet18(weights=None).eval()
    write = write_exported if name.endswith(".pt2") else write_torchscript
    write("resnet18", network.state_dict(), tmp_path / name)
    larger = pixels.repeat(4, axis=1).repeat(4, axis=2)[:, :224, :224]
    scorer = load(tmp_path / name)
    for items in (1, 3):
        logits = scorer.score_images(larger[:items], PREPROCESSING)
        np.testing.assert_allclose(logits, classify(network, larger[:items]), atol=1e-4)
    assert scorer.report["file"] == ("exported" if name.endswith(".pt2") else "torchscript")


def test_tensors_are_passed_in_the_order_of_the_signature(pair_file: Path, script_file: Path) -> None:
    for path in (pair_file, script_file):
        scorer = load(path, PAIR_SIGNATURE)
        first, second = np.full((3, 4), 5, np.float32), np.full((3, 4), 2, np.float32)
        answer = scorer.score({"subtrahend": second, "minuend": first})
        assert answer["difference"].tolist() == (first - second).tolist()
        assert answer["product"].tolist() == (first * second).tolist()


def test_tensors_that_may_not_be_written_are_scored(pair_file: Path) -> None:
    received = np.frombuffer(np.ones(4, np.float32).tobytes(), np.float32).reshape(1, 4)
    answer = load(pair_file, PAIR_SIGNATURE).score({"minuend": received, "subtrahend": received})
    assert answer["product"].tolist() == [[1.0] * 4]


@pytest.mark.parametrize(
    ("raw", "names", "expected"),
    [
        (torch.ones(1), [], ["output"]),
        ((torch.ones(1), torch.ones(1)), [], ["output_0", "output_1"]),
        ([torch.ones(1)], ["mask"], ["mask"]),
        ({"out": torch.ones(1), "aux": torch.ones(1)}, ["out"], ["out"]),
        ({"out": torch.ones(1), "aux": torch.ones(1)}, [], ["out", "aux"]),
    ],
)
def test_outputs_have_the_names_of_the_signature(raw: Any, names: list[str], expected: list[str]) -> None:
    assert list(name_outputs(raw, make_specs(names))) == expected


def make_specs(names: list[str], datatype: str = "FP32") -> Any:
    outputs = [{"name": name, "datatype": datatype, "shape": [-1]} for name in names]
    return Signature.model_validate({"inputs": PAIR_SIGNATURE["inputs"], "outputs": outputs}).outputs


def test_halves_are_answered_in_single_precision_unless_the_signature_says_otherwise() -> None:
    for half in (torch.float16, torch.bfloat16):
        raw = torch.ones(1, dtype=half)
        assert name_outputs(raw, make_specs(["y"]))["y"].dtype == torch.float32
        assert name_outputs(raw, make_specs(["y"], "FP16"))["y"].dtype == torch.float16


@pytest.mark.parametrize(
    ("raw", "names", "message"),
    [
        (torch.ones(1), ["a", "b"], "signature.outputs: the network gives 1 tensors, 2 are named: name each, in their order."),
        ({"out": torch.ones(1)}, ["mask"], "signature.outputs: 'mask' is no output of the network, which has out."),
    ],
)  # fmt: skip
def test_outputs_that_the_signature_names_wrongly_are_refused(raw: Any, names: list[str], message: str) -> None:
    with pytest.raises(ManifestInvalidError) as caught:
        name_outputs(raw, make_specs(names))
    assert caught.value.message == f"manifest.json: {message}"


def test_a_prediction_without_signature_is_refused(pair_file: Path) -> None:
    with pytest.raises(ManifestInvalidError, match=r"^manifest\.json: signature is missing"):
        load(pair_file, classes=None).score({"minuend": np.zeros((1, 4), np.float32)})


def test_images_for_a_network_of_two_outputs_are_refused(tmp_path: Path, pixels: Pixels) -> None:
    class Twice(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images, images + 1

    torch.export.save(torch.export.export(Twice(), (torch.zeros(3, 3, 64, 64),)), tmp_path / "model.pt2")
    with pytest.raises(ManifestInvalidError, match=r"^manifest\.json: task: the network gives 2 tensors"):
        load(tmp_path / "model.pt2").score_images(pixels, PREPROCESSING)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "options.architecture: is missing. Did you mean: a name of torchvision.models?"),
        ({"architecture": "resnet-18"}, "options.architecture: 'resnet-18' is not known. Did you mean: resnet18"),
        ({"architecture": "os.system"}, "options.architecture: 'os.system' is not known."),
        ({"architecture": "resnet18", "precision": "int8"}, "options.precision: Input should be 'float32', 'bfloat16' or 'float16'."),
        ({"architecture": "resnet18", "batchSizes": []}, "options.batchSizes: Tuple should have at least 1 item"),
        ({"architecture": "resnet18", "fast": True}, "options.fast: Extra inputs are not permitted."),
    ],
)  # fmt: skip
def test_wrong_options_name_the_field(state_file: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestInvalidError) as caught:
        load(state_file, **options)
    assert caught.value.message.startswith(f"manifest.json: {message}")


@pytest.mark.parametrize(
    ("options", "field"),
    [({"architecture": "resnet18"}, "architecture"), ({"precision": "bfloat16"}, "precision")],
)
def test_options_of_state_dicts_are_refused_for_programs(pair_file: Path, options: dict[str, Any], field: str) -> None:
    with pytest.raises(ManifestInvalidError, match=rf"^manifest\.json: options\.{field}: the model file"):
        load(pair_file, **options)


def test_a_signature_of_texts_is_refused(pair_file: Path) -> None:
    texts = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}]}
    with pytest.raises(ManifestInvalidError, match="'text' is BYTES, of which PyTorch has no tensors"):
        load(pair_file, texts)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("model.bin", None, "model.bin is no state dict: name it .safetensors, .pt, .pth."),
        ("model.safetensors", "torchscript", "model.safetensors is no TorchScript file: name it .ts, .pt, .pth."),
        ("model.pt", "exported", "model.pt is no exported program: name it .pt2."),
    ],
)
def test_a_file_of_another_suffix_is_never_opened_as_a_program(
    tmp_path: Path, name: str, kind: str | None, message: str
) -> None:
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(ModelInvalidError) as caught:
        load(tmp_path / name, kind=kind)
    assert caught.value.message == message


def test_a_program_named_as_a_state_dict_is_not_run(pair_file: Path, tmp_path: Path) -> None:
    program = pair_file.rename(tmp_path / "model.pt")
    with pytest.raises(ModelInvalidError, match=r"^model\.pt is no exported program"):
        load(program, architecture="resnet18")


def test_half_precision_keeps_batch_normalisation_and_answers_in_single_precision(
    state_file: Path, network: nn.Module, pixels: Pixels
) -> None:
    scorer = load(state_file, IMAGE_SIGNATURE, architecture="resnet18", precision="bfloat16")
    assert scorer.model.conv1.weight.dtype == torch.bfloat16
    assert scorer.model.bn1.running_mean.dtype == torch.float32
    expected = classify(network, pixels)
    answers = (
        scorer.score_images(pixels, PREPROCESSING),
        scorer.score({"images": normalise(pixels).numpy()})["logits"],
    )
    for logits in answers:
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, expected, atol=0.03 * np.abs(expected).max())


def test_a_precision_that_the_cpu_only_imitates_is_told() -> None:
    avx2 = {"avx2": True, "avx512_bf16": False}
    assert is_native(torch.float32, avx2)
    assert not is_native(torch.bfloat16, avx2)
    assert not is_native(torch.float16, {"avx512_bf16": True})
    assert is_native(torch.bfloat16, {"avx512_bf16": True})
    with structlog.testing.capture_logs() as logs:
        warn_of_slow_precision(CPU, torch.float16)
    assert bool(logs) == (not is_native(torch.float16, torch.cpu.get_capabilities()))


@pytest.mark.parametrize(
    ("items", "pieces"),
    [
        (1, [(0, 1, 1)]),
        (3, [(0, 3, 4)]),
        (8, [(0, 8, 8)]),
        (19, [(0, 8, 8), (8, 16, 8), (16, 19, 4)]),
    ],
)
def test_a_batch_is_cut_and_padded_to_recorded_sizes(items: int, pieces: list[tuple[int, int, int]]) -> None:
    assert [tuple(piece) for piece in plan_pieces(items, [1, 2, 4, 8])] == pieces


@pytest.mark.parametrize("items", [1, 3, 4, 11])
def test_recorded_sizes_answer_as_the_network(items: int) -> None:
    sizes: list[int] = []

    def square(numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        sizes.append(len(numbers))
        return {"square": numbers * numbers}

    runner = RecordedRunner(square, CPU, (4, 1), record_call)
    runner([np.ones((2, 3), np.float32)])
    sizes.clear()
    batch = np.arange(items * 3, dtype=np.float32).reshape(items, 3)
    assert runner([batch])["square"].tolist() == (batch * batch).tolist()
    assert set(sizes) <= {1, 4}


def test_shapes_that_were_not_recorded_are_run_directly() -> None:
    def double(numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"double": numbers * 2}

    runner = RecordedRunner(double, CPU, (1, 2), record_call)
    runner([np.ones((1, 3), np.float32)])
    for other in (np.ones((5, 4), np.float32), np.ones((1, 3), np.float64), np.ones((0, 3), np.float32)):
        assert runner([other])["double"].tolist() == DirectRunner(double, CPU)([other])["double"].tolist()


def test_cuda_graphs_without_a_gpu_are_left_out_with_a_warning() -> None:
    with structlog.testing.capture_logs() as logs:
        plan = make_plan(TorchOptions(compile="cuda-graphs"), "state-dict", CPU)
    assert plan.compile == "none"
    assert [entry["log_level"] for entry in logs] == ["warning"]


def test_only_state_dicts_are_recorded_without_being_asked() -> None:
    gpu = torch.device("cuda")
    assert make_plan(TorchOptions(), "state-dict", gpu).compile == "cuda-graphs"
    assert make_plan(TorchOptions(), "torchscript", gpu).compile == "none"
    assert make_plan(TorchOptions(compile="cuda-graphs"), "exported", gpu).compile == "cuda-graphs"


@pytest.mark.parametrize(
    ("kind", "message"),
    [("state-dict", "needs a compiler, which this image lacks"), ("torchscript", "compiled already")],
)
def test_compiling_where_it_cannot_work_is_refused(monkeypatch: pytest.MonkeyPatch, kind: Any, message: str) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ManifestInvalidError, match=rf"^manifest\.json: options\.compile: .*{message}"):
        make_plan(TorchOptions(compile="compile"), kind, CPU)


def test_a_batch_that_does_not_fit_into_memory_is_overload() -> None:
    with (
        pytest.raises(OverloadedError, match=r"^The memory of cpu does not suffice for 9 items now"),
        guard_scoring(CPU, 9),
    ):
        torch.empty(2**60)


def test_a_model_that_does_not_fit_into_memory_says_so() -> None:
    with pytest.raises(OutOfMemoryError, match=r"^The model does not fit into the memory of cpu"), guard_loading(CPU):
        torch.empty(2**60)


@pytest.mark.parametrize("message", ["CUDA out of memory.", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"])
def test_libraries_without_memory_are_understood(message: str) -> None:
    assert is_out_of_memory(RuntimeError(message))


def test_other_errors_of_a_batch_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="must match the size"), guard_scoring(CPU, 1):
        torch.ones(2) + torch.ones(3)


def test_a_device_that_fails_again_is_lost() -> None:
    error = RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA")

    def fail() -> None:
        raise error

    raise_if_lost(error, lambda: None)
    with pytest.raises(
        DeviceLostError, match=r"^The GPU is lost to this process: CUDA error: device-side assert triggered\. "
    ):
        raise_if_lost(error, fail)


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here that PyTorch can use")


@needs_gpu
@pytest.mark.parametrize("compiling", ["none", "cuda-graphs"])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 0.01), ("bfloat16", 0.05), ("float16", 0.02)])
def test_a_gpu_answers_as_the_cpu(
    state_file: Path, network: nn.Module, pixels: Pixels, compiling: str, precision: str, tolerance: float
) -> None:
    scorer = load(state_file, architecture="resnet18", compile=compiling, precision=precision, batchSizes=[1, 4])
    for items in (1, 3, 9):
        batch = np.resize(pixels, (items, *pixels.shape[1:]))
        expected = classify(network, batch)
        logits = scorer.score_images(batch, PREPROCESSING)
        np.testing.assert_allclose(logits, expected, atol=tolerance * np.abs(expected).max())


@needs_gpu
def test_a_gpu_without_memory_for_a_batch_goes_on(state_file: Path, pixels: Pixels) -> None:
    scorer = load(state_file, architecture="resnet18", compile="none")
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        with pytest.raises(OverloadedError):
            scorer.score_images(np.resize(pixels, (20_000, *pixels.shape[1:])), PREPROCESSING)
        assert scorer.score_images(pixels, PREPROCESSING).shape == (3, CLASSES)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
