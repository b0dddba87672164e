"""The task prediction: one batch for many requests, checked outputs, the signature."""

from typing import Any

import numpy as np
import orjson
import pytest

from runtime_tasks import ask, attach_task, load_python, make_signature
from scoring_runtime.errors import (
    ManifestInvalidError,
    ScoringFailedError,
)
from scoring_runtime.tasks import RequestBody, Task

PERSON = {"age": ("FP64", [-1]), "city": ("BYTES", [-1]), "children": ("INT32", [-1]), "member": ("BOOL", [-1])}


def make_echo(inputs: dict[str, tuple[str, list[int]]], **fields: Any) -> Task:
    return attach_task(load_python("Echo"), signature=make_signature(inputs), **fields)


@pytest.fixture
def people() -> Task:
    return make_echo(PERSON)


class TestBatches:
    def test_requests_are_scored_in_one_call_and_answered_apart(self) -> None:
        scorer = load_python("Sum")
        task = attach_task(scorer)
        requests = [task.read(RequestBody(payload={"input": [[n, 0, 0, 0]] * n})) for n in (1, 2, 3)]
        assert [outputs["y"].tolist() for outputs in task.score(requests)] == [[1.0], [2.0, 2.0], [3.0, 3.0, 3.0]]
        assert scorer.model.calls == 1

    def test_items_of_other_shapes_are_scored_apart_and_answered_in_order(self) -> None:
        scorer = load_python("Lengths")
        task = attach_task(scorer, signature=make_signature({"x": ("FP64", [-1, -1])}))
        requests = [task.read(RequestBody(payload={"input": [[1.0] * n]})) for n in (2, 3, 2, 1)]
        assert [outputs["size"].tolist() for outputs in task.score(requests)] == [[2], [3], [2], [1]]
        assert scorer.model.calls == 3

    @pytest.mark.parametrize(
        ("shape", "size"), [([-1, 4], 64), ([-1], 64), ([1, 4], 1), ([16, 4], 1), ([-1, 3, 224, 224], 8)]
    )
    def test_batch_size_follows_from_the_shape(self, shape: list[int], size: int) -> None:
        assert make_echo({"x": ("FP64", shape)}).max_batch_size == size


class TestOutputs:
    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (3.0, "answered float"),
            ({}, "answered dict"),
            ({"y": np.ones(3)}, "has the shape (3,) for 1 items"),
            ({"y": np.float64(3)}, "has the shape () for 1 items"),
            ({"y": np.array([np.nan])}, "NaN"),
            ({"y": np.array([np.inf], dtype=np.float32)}, "infinite"),
            ({"y": np.array([1j])}, "complex128, which no answer can carry"),
        ],
    )
    def test_answer_that_is_no_output_fails(self, answer: Any, message: str) -> None:
        scorer = load_python("Constant")
        scorer.model.answer = answer
        task = attach_task(scorer, signature=make_signature({"x": ("FP64", [-1])}))
        with pytest.raises(ScoringFailedError) as caught:
            ask(task, [1.0])
        assert message in caught.value.message

    @pytest.mark.parametrize(
        ("answer", "texts"),
        [
            (np.array([b"a", "ä".encode()], dtype=object), ["a", "ä"]),
            (np.array([b"a", b"b"]), ["a", "b"]),
            (np.array(["a", "ä"]), ["a", "ä"]),
            (np.array([[b"a"], [b"\xff"]], dtype=object), [["a"], [{"b64": "/w=="}]]),
        ],
        ids=["bytes", "bytes of one length", "texts", "no text"],
    )
    def test_bytes_are_answered_as_texts(self, answer: Any, texts: Any) -> None:
        scorer = load_python("Constant")
        scorer.model.answer = {"y": answer}
        task = attach_task(scorer, signature=make_signature({"x": ("FP64", [-1])}))
        assert orjson.loads(orjson.dumps(ask(task, [1.0, 2.0]))) == texts

    def test_numbers_of_another_byte_order_are_answered(self) -> None:
        scorer = load_python("Constant")
        scorer.model.answer = {"y": np.array([1.5], dtype=">f8")}
        task = attach_task(scorer, signature=make_signature({"x": ("FP64", [-1])}))
        assert orjson.dumps(ask(task, [1.0]), option=orjson.OPT_SERIALIZE_NUMPY) == b"[1.5]"

    def test_output_is_cast_to_the_promised_datatype(self) -> None:
        promised = {
            **make_signature({"x": ("INT64", [-1])}),
            "outputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
        }
        answer = ask(attach_task(load_python("Echo"), signature=promised), [3])
        assert answer.dtype == np.float32

    @pytest.mark.parametrize(
        ("name", "kind", "message"),
        [("x", "INT64", "float64, but the signature says INT64"), ("y", "FP64", "no output 'y'")],
    )
    def test_output_other_than_promised_fails(self, name: str, kind: str, message: str) -> None:
        promised = {
            **make_signature({"x": ("FP64", [-1])}),
            "outputs": [{"name": name, "datatype": kind, "shape": [-1]}],
        }
        with pytest.raises(ScoringFailedError, match=message):
            ask(attach_task(load_python("Echo"), signature=promised), [1.5])

    @pytest.mark.parametrize(
        ("given", "promised", "value"),
        [("INT64", "INT32", 3_000_000_000), ("INT64", "INT8", -129), ("UINT64", "INT64", 2**64 - 1)],
    )
    def test_number_that_the_promised_datatype_cannot_hold_fails(self, given: str, promised: str, value: int) -> None:
        """It would become another number, such as another label's id."""
        outputs = [{"name": "x", "datatype": promised, "shape": [-1]}]
        task = attach_task(load_python("Echo"), signature={**make_signature({"x": (given, [-1])}), "outputs": outputs})
        assert ask(task, [3]).tolist() == [3]
        with pytest.raises(ScoringFailedError, match="'x' has a number that is too large for " + promised):
            ask(task, [3, value])

    def test_outputs_are_learned_from_the_first_answer(self) -> None:
        task = make_echo({"x": ("FP32", [-1, 2]), "text": ("BYTES", [-1])})
        before = task.signature
        ask(task, [{"x": [1, 2], "text": "a"}])
        assert before.outputs == ()
        assert [(spec.name, spec.datatype, spec.shape) for spec in task.signature.outputs] == [
            ("x", "FP32", (-1, 2)),
            ("text", "BYTES", (-1,)),
        ]


class TestSignature:
    def test_manifests_signature_wins_and_is_completed_by_the_models_outputs(self) -> None:
        task = attach_task(load_python("Sum"), signature=make_signature({"x": ("FP64", [-1, -1])}))
        assert task.signature.inputs[0].shape == (-1, -1)
        assert task.signature.outputs[0].name == "y"

    def test_missing_signature_is_refused_where_the_model_tells_none(self) -> None:
        with pytest.raises(ManifestInvalidError, match="signature is missing"):
            attach_task(load_python("Echo"))

    def test_example_is_the_manifests(self) -> None:
        example = {"input": [[1, 2, 3, 4]]}
        assert attach_task(load_python("Sum"), example=example).make_example().payload == example

    def test_example_is_made_up_from_the_signature(self, people: Task) -> None:
        answer = people.score([people.read(people.make_example())])[0]
        assert {name: tensor.tolist() for name, tensor in answer.items()} == {
            "age": [0.0],
            "city": ["text"],
            "children": [0],
            "member": [False],
        }

    @pytest.mark.parametrize("parameters", [{"maxItems": 0}, {"max_items": 1}, {"top": 3}])
    def test_wrong_parameters_are_refused(self, parameters: dict[str, Any]) -> None:
        with pytest.raises(ManifestInvalidError, match=r"parameters\."):
            make_echo(PERSON, parameters=parameters)
