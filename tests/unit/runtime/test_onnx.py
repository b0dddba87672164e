"""The ONNX scorer: what a model tells of itself, the choice of the engine, and models that are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import structlog
from onnx import TensorProto, helper, numpy_helper

from scoring_runtime.errors import InvalidInputError, LoadError, ManifestInvalidError, ModelInvalidError
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.engines import Engine, EngineSettings, OnnxRuntimeEngine, OpenVinoEngine
from scoring_runtime.scorers.onnx import OnnxScorer, find_difference, measure
from scoring_runtime.tensors import ANY_SIZE, Tensors

WEIGHTS = np.arange(4, dtype=np.float32)
ITEMS = np.ones((3, 4), np.float32)


def make_model(
    operator: str = "Add", domain: str = "", location: str | None = None, first: Any = "n"
) -> onnx.ModelProto:
    weights = numpy_helper.from_array(WEIGHTS, "weights")
    if location is not None:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": "0", "length": str(WEIGHTS.nbytes)}.items():
            weights.external_data.add(key=key, value=value)
    shape = [first, 4]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "weights"], ["y"], domain=domain)],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [weights],
    )
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def write_model(folder: Path, name: str = "model.onnx", **how: Any) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(make_model(**how).SerializeToString())
    return path


def write_graph(path: Path, nodes: list[onnx.NodeProto], inputs: dict[str, Any], outputs: list[str]) -> Path:
    """Write a model of these nodes whose outputs have no shape; inputs named shape are of whole numbers."""
    kinds = {"shape": TensorProto.INT64}
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), axes)
            for name, axes in inputs.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
    )
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    return path


def load(path: Path, **options: Any) -> OnnxScorer:
    scorer = OnnxScorer()
    scorer.load(ModelSource(path, path.parent, options))
    return scorer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "artifact")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "auto"])
def test_model_is_scored_by_each_engine(model: Path, engine: str) -> None:
    scorer = load(model, engine=engine)
    for _ in range(2):
        np.testing.assert_allclose(scorer.score({"x": ITEMS})["y"], ITEMS + WEIGHTS)
    assert scorer.signature is not None
    (given,), (answered,) = scorer.signature.inputs, scorer.signature.outputs
    assert (given.name, given.datatype, given.shape) == ("x", "FP32", (ANY_SIZE, 4))
    assert (answered.name, answered.datatype, answered.shape) == ("y", "FP32", (ANY_SIZE, 4))
    assert scorer.report["device"] == "cpu"


@pytest.mark.parametrize(
    ("runtime_milliseconds", "chosen"), [(1.0, "openvino"), (0.55, "onnxruntime"), (0.1, "onnxruntime")]
)
def test_auto_times_both_engines_and_keeps_one_that_is_clearly_faster(
    model: Path, monkeypatch: pytest.MonkeyPatch, runtime_milliseconds: float, chosen: str
) -> None:
    def take_time(engine: Engine, batch: Tensors) -> tuple[float, Tensors]:
        return (runtime_milliseconds if engine.name == "onnxruntime" else 0.5), engine.run(batch)

    monkeypatch.setattr("scoring_runtime.scorers.onnx.measure", take_time)
    scorer = load(model, engine="auto")
    assert "milliseconds" not in scorer.report
    scorer.score({"x": ITEMS})
    assert scorer.report["milliseconds"] == {"onnxruntime": runtime_milliseconds, "openvino": 0.5}
    assert scorer.report["engine"] == chosen
    np.testing.assert_allclose(scorer.score({"x": ITEMS})["y"], ITEMS + WEIGHTS)


def test_time_is_measured_in_milliseconds(model: Path) -> None:
    milliseconds, outputs = measure(OnnxRuntimeEngine(model, EngineSettings()), {"x": ITEMS})
    assert 0 < milliseconds < 1000
    np.testing.assert_allclose(outputs["y"], ITEMS + WEIGHTS)


def test_auto_drops_an_engine_that_differs(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = OpenVinoEngine.run

    def run_wrongly(engine: OpenVinoEngine, batch: Tensors) -> Tensors:
        return {name: tensor + 0.01 for name, tensor in run(engine, batch).items()}

    monkeypatch.setattr(OpenVinoEngine, "run", run_wrongly)
    scorer = load(model, engine="auto")
    np.testing.assert_allclose(scorer.score({"x": ITEMS})["y"], ITEMS + WEIGHTS)
    assert scorer.report["engine"] == "onnxruntime"
    assert scorer.report["refused"] == {
        "openvino": "its output 'y' differs by more than 0.001: a tolerance of 0.0053 would take it"
    }


def answer_in_turn(monkeypatch: pytest.MonkeyPatch, *measured: tuple[float, float]) -> None:
    """Have what is measured take so many milliseconds, and answer so much more than it should: ONNX Runtime first, bfloat16 last."""
    waiting = list(measured)

    def measure_next(engine: Engine, batch: Tensors) -> tuple[float, Tensors]:
        milliseconds, more = waiting.pop(0)
        return milliseconds, {name: tensor + np.float32(more) for name, tensor in engine.run(batch).items()}

    monkeypatch.setattr("scoring_runtime.scorers.onnx.measure", measure_next)


@pytest.mark.parametrize(
    ("float32", "bfloat16", "engine", "precision"),
    [
        ((1.0, 0.0), (0.5, 0.004), "openvino", "bfloat16"),
        ((0.8, 0.0), (0.75, 0.004), "openvino", "float32"),
        ((1.0, 0.0), (0.95, 0.004), "onnxruntime", "float32"),
        ((1.0, 0.0), (0.5, 0.1), "onnxruntime", "float32"),
    ],
)
def test_precision_is_chosen_where_it_is_faster_and_within_the_tolerance(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    float32: tuple[float, float],
    bfloat16: tuple[float, float],
    engine: str,
    precision: str,
) -> None:
    monkeypatch.setattr("scoring_runtime.scorers.onnx.computes_in", lambda _precision: True)
    answer_in_turn(monkeypatch, (1.0, 0.0), float32, bfloat16)
    scorer = load(model, engine="auto", precision="auto", tolerance=0.01)
    answered = scorer.score({"x": ITEMS})["y"]
    assert (scorer.report["engine"], scorer.report["precision"]) == (engine, precision)
    assert scorer.report["milliseconds"] == {
        "onnxruntime": 1.0, "openvino": float32[0], "openvino bfloat16": bfloat16[0],
    }  # fmt: skip
    assert ("refused" in scorer.report) == (bfloat16[1] > 0.01)
    # What the example is answered is what is served: `expect` judges it.
    np.testing.assert_allclose(answered, ITEMS + WEIGHTS + (bfloat16[1] if precision == "bfloat16" else 0), rtol=1e-6)


def test_bfloat16_is_not_tried_on_a_cpu_without_it(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring_runtime.scorers.onnx.computes_in", lambda precision: precision == "float32")
    scorer = load(model, engine="auto", precision="auto", tolerance=0.01)
    scorer.score({"x": ITEMS})
    assert scorer.report["refused"] == {"openvino bfloat16": "this CPU has no bfloat16"}
    assert set(scorer.report["milliseconds"]) == {"onnxruntime", "openvino"}


@pytest.mark.parametrize(("has_it", "warnings"), [(True, []), (False, ["bfloat16"])])
def test_named_precision_that_the_cpu_imitates_is_warned_of(
    model: Path, monkeypatch: pytest.MonkeyPatch, has_it: bool, warnings: list[str]
) -> None:
    monkeypatch.setattr("scoring_runtime.scorers.engines.computes_in", lambda _precision: has_it)
    with structlog.testing.capture_logs() as logs:
        scorer = load(model, engine="openvino", precision="bfloat16")
    assert [line["precision"] for line in logs if line["log_level"] == "warning"] == warnings
    assert scorer.report["precision"] == "bfloat16"


def test_auto_keeps_onnx_runtime_when_the_other_cannot_load(tmp_path: Path) -> None:
    # A function of Microsoft's, which OpenVINO does not know.
    scorer = load(write_model(tmp_path, operator="BiasGelu", domain="com.microsoft"), engine="auto")
    assert scorer.score({"x": ITEMS})["y"].shape == (3, 4)
    assert scorer.report["engine"] == "onnxruntime"


def test_difference_is_relative_or_absolute_whichever_is_more() -> None:
    expected = {"y": np.array([1000.0, 0.0])}
    assert find_difference(expected, {"y": np.array([1000.9, 0.0009])}) is None
    assert find_difference(expected, {"y": np.array([1000.0, 0.0021])}) is not None
    assert find_difference(expected, {"z": np.array([1000.0, 0.0])}) is not None


@pytest.mark.parametrize("seed", range(20))
def test_tolerance_that_is_told_would_do(seed: int) -> None:
    random = np.random.default_rng(seed)
    expected = {"y": random.normal(scale=10, size=50)}
    outputs = {"y": expected["y"] + random.normal(scale=0.1, size=50)}
    told = find_difference(expected, outputs, 1e-4)
    assert told is not None
    assert find_difference(expected, outputs, float(told.split("tolerance of ")[1].split()[0])) is None


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    path = write_model(tmp_path, location="weights.bin")
    (tmp_path / "weights.bin").write_bytes((WEIGHTS * 2).tobytes())
    for engine in ("onnxruntime", "openvino"):
        np.testing.assert_allclose(load(path, engine=engine).score({"x": ITEMS})["y"], ITEMS + WEIGHTS * 2)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("location", ["../secret.bin", "{tmp_path}/secret.bin", "link.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, engine: str, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(WEIGHTS.tobytes())
    path = write_model(tmp_path / "artifact", location=location.format(tmp_path=tmp_path))
    (path.parent / "link.bin").symlink_to("../secret.bin")
    with pytest.raises(ModelInvalidError, match="save them beside the model"):
        load(path, engine=engine)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("how", "remedy"),
    [
        ({"location": "absent.bin"}, "missing or too short: pack it beside the model"),
        ({"location": "short.bin"}, "missing or too short: pack it beside the model"),
        ({"operator": "Frobnicate"}, "an operator that this engine does not know"),
        ({"operator": "Frobnicate", "domain": "my.operators"}, "an operator that this engine does not know"),
    ],
)
def test_model_that_cannot_be_loaded_has_a_remedy(tmp_path: Path, engine: str, how: Any, remedy: str) -> None:
    (tmp_path / "short.bin").write_bytes(b"\0")
    with pytest.raises(ModelInvalidError, match=remedy):
        load(write_model(tmp_path, **how), engine=engine)


@pytest.mark.parametrize("content", [b"", b"hello", b"half"])
@pytest.mark.parametrize("suffix", [".onnx", ".ort"])
def test_damaged_file_is_refused(model: Path, content: bytes, suffix: str) -> None:
    path = model.with_suffix(suffix)
    path.write_bytes(model.read_bytes()[:40] if content == b"half" else content)
    with pytest.raises(ModelInvalidError, match=r"cannot be loaded: .+\."):
        load(path)


def test_ort_file_is_scored_by_onnx_runtime_alone(model: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(model.with_suffix(".ort"))
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(load(model.with_suffix(".ort")).score({"x": ITEMS})["y"], ITEMS + WEIGHTS)
    with pytest.raises(ManifestInvalidError, match=r"only onnxruntime reads \.ort"):
        load(model.with_suffix(".ort"), engine="openvino")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "tensorrt"}, r"options\.engine"),
        ({"optimization": "all"}, r"options\.optimization"),
        ({"precision": "bfloat16"}, "only the engine openvino has"),
        ({"precision": "bfloat16", "engine": "auto"}, "only the engine openvino has"),
        ({"precision": "auto"}, r"set options\.engine to 'auto', or name the precision"),
        ({"tolerance": 0}, r"options\.tolerance"),
    ],
)
def test_options_are_refused_with_their_name(model: Path, options: Any, message: str) -> None:
    with pytest.raises(ManifestInvalidError, match=message):
        load(model, **options)


def test_another_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.pb").touch()
    with pytest.raises(LoadError, match=r"name it \.onnx or \.ort"):
        load(tmp_path / "model.pb")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("batch", [{"x": np.ones((1, 7), np.float32)}, {"z": ITEMS}, {"x": np.array([["a"] * 4])}])
def test_input_of_another_shape_name_or_type_is_the_requests_error(model: Path, engine: str, batch: Tensors) -> None:
    with pytest.raises(InvalidInputError, match="The model does not take this input"):
        load(model, engine=engine).score(batch)


def test_texts_are_read_as_bytes_or_text(tmp_path: Path) -> None:
    text = helper.make_tensor_value_info("x", TensorProto.STRING, ["n"])
    answer = helper.make_tensor_value_info("y", TensorProto.STRING, ["n"])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "graph", [text], [answer])
    path = tmp_path / "texts.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    scorer = load(path)
    assert scorer.score({"x": np.array([b"one", "two"], dtype=object)})["y"].tolist() == ["one", "two"]
    assert scorer.signature is not None
    assert scorer.signature.inputs[0].datatype == "BYTES"


def test_fixed_number_of_items_is_told_by_the_signature(tmp_path: Path) -> None:
    scorer = load(write_model(tmp_path, first=1))
    assert scorer.signature is not None
    assert not scorer.signature.is_batched()


def test_output_whose_axes_only_the_run_tells_is_answered(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"]), helper.make_node("Relu", ["x"], ["z"])]
    scorer = load(write_graph(tmp_path / "model.onnx", nodes, {"x": ["n", 4], "shape": ["k"]}, ["y", "z"]))
    assert scorer.signature is not None
    assert scorer.signature.outputs == ()
    outputs = scorer.score({"x": ITEMS, "shape": np.array([3, 2, 2])})
    assert {name: tensor.shape for name, tensor in outputs.items()} == {"y": (3, 2, 2), "z": (3, 4)}


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_single_number_beside_the_answers_is_left_out(tmp_path: Path, engine: str) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["z"]), helper.make_node("ReduceSum", ["z"], ["loss"], keepdims=0)]
    scorer = load(write_graph(tmp_path / "model.onnx", nodes, {"x": ["n", 4]}, ["z", "loss"]), engine=engine)
    assert list(scorer.score({"x": ITEMS})) == ["z"]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_input_without_axes_is_refused(tmp_path: Path, engine: str) -> None:
    nodes = [helper.make_node("Add", ["x", "factor"], ["z"])]
    path = write_graph(tmp_path / "model.onnx", nodes, {"x": ["n", 4], "factor": []}, ["z"])
    with pytest.raises(ModelInvalidError, match=r"input 'factor' is a .* first axis counts the items"):
        load(path, engine=engine)


def test_threads_are_those_given(model: Path) -> None:
    engine = OnnxRuntimeEngine(model, EngineSettings(threads=3))
    assert engine._session.get_session_options().intra_op_num_threads == 3
