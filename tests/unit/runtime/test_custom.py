"""The task custom: any JSON in and out, in /score and as tensors of JSON texts."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_tasks import attach_task, load_python
from scoring_runtime.errors import (
    EmptyInputError,
    InvalidInputError,
    ManifestInvalidError,
    MissingInputError,
    ScoringFailedError,
    TooManyItemsError,
)
from scoring_runtime.tasks import RequestBody, Task

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def make_task(name: str, **parameters: Any) -> Task:
    return attach_task(load_python(name), "custom", parameters=parameters)


def ask_json(task: Task, value: Any) -> Any:
    outputs = task.score([task.read(RequestBody(payload={"input": value}))])[0]
    return orjson.loads(orjson.dumps(task.write(outputs)))


def make_texts(*texts: object) -> dict[str, Any]:
    return {"input": np.array(texts, dtype=object)}


def test_value_is_answered_by_the_class() -> None:
    assert ask_json(make_task("Upper"), "a text") == "A TEXT"


@given(JSON)
def test_any_json_goes_in_and_comes_out(value: Any) -> None:
    assert ask_json(make_task("Mirror"), value) == value


def test_json_texts_of_a_tensor_are_answered_as_json_texts() -> None:
    task = make_task("Upper")
    outputs = task.score([task.read_tensors(make_texts('"one"', b'"two"'))])[0]
    assert task.write_tensors(outputs)["output"].tolist() == ['"ONE"', '"TWO"']


def test_requests_are_scored_in_one_call_and_answered_apart() -> None:
    scorer = load_python("Upper")
    task = attach_task(scorer, "custom", parameters={"maxBatchSize": 8})
    assert task.score([["a", "b"], ["c"]]) == [["A", "B"], ["C"]]
    assert scorer.model.calls == 1
    assert task.max_batch_size == 8


def test_batching_is_off_unless_asked_for() -> None:
    assert make_task("Upper").max_batch_size == 1


def test_class_can_refuse_an_input() -> None:
    with pytest.raises(InvalidInputError, match="must be a text"):
        ask_json(make_task("Upper"), 3)


def test_missing_input_is_refused() -> None:
    with pytest.raises(MissingInputError):
        make_task("Upper").read(RequestBody(payload={"text": "x"}))


@pytest.mark.parametrize(
    ("tensors", "error"),
    [
        ({}, MissingInputError),
        ({"text": np.array(["1"], dtype=object)}, MissingInputError),
        ({"input": np.array([1.0])}, InvalidInputError),
        ({"input": np.array([["1"]], dtype=object)}, InvalidInputError),
        (make_texts(), EmptyInputError),
        (make_texts("1", "{"), InvalidInputError),
        (make_texts("1", b"\xff"), InvalidInputError),
        (make_texts(3), InvalidInputError),
        (make_texts("1", "2", "3"), TooManyItemsError),
    ],
)
def test_tensors_that_are_no_json_texts_are_refused(tensors: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        make_task("Upper", maxItems=2).read_tensors(tensors)


def test_wrong_json_text_is_named_by_its_place() -> None:
    with pytest.raises(InvalidInputError, match=r"input\[1\] is no JSON"):
        make_task("Upper").read_tensors(make_texts("1", "{"))


@pytest.mark.parametrize(
    ("answer", "shown"), [(None, "NoneType"), ([1, 2], "2 answers"), ({"a": 1}, "dict"), ("a", "str")]
)
def test_answer_that_is_not_one_for_each_item_fails(answer: Any, shown: str) -> None:
    scorer = load_python("Constant")
    scorer.model.answer = answer
    with pytest.raises(ScoringFailedError, match=shown):
        attach_task(scorer, "custom").score([["item"]])


@pytest.mark.parametrize("answer", [object(), {1, 2}, {1: 2}, b"bytes"])
def test_answer_that_is_no_json_fails_and_says_so(answer: Any) -> None:
    task = make_task("Mirror")
    with pytest.raises(ScoringFailedError, match="is no JSON"):
        task.write([answer])
    with pytest.raises(ScoringFailedError, match="is no JSON"):
        task.write_tensors([answer])


def test_answer_may_hold_arrays_of_numpy() -> None:
    assert ask_json(attach_task(load_python("Mirror"), "custom"), "x") == "x"
    task = make_task("Mirror")
    assert orjson.loads(orjson.dumps(task.write([{"scores": np.array([0.5, 1.0])}]))) == {"scores": [0.5, 1.0]}


def test_example_is_the_manifests_or_an_empty_text() -> None:
    example = {"input": {"any": "thing"}}
    assert attach_task(load_python("Mirror"), "custom", example=example).make_example().payload == example
    assert make_task("Mirror").make_example().payload == {"input": ""}


def test_signature_is_one_json_text_per_item() -> None:
    signature = make_task("Mirror").signature
    assert [(spec.name, spec.datatype, spec.shape) for spec in signature.inputs] == [("input", "BYTES", (-1,))]
    assert [(spec.name, spec.datatype, spec.shape) for spec in signature.outputs] == [("output", "BYTES", (-1,))]


@pytest.mark.parametrize("parameters", [{"maxBatchSize": 0}, {"batching": True}, {"maxItems": "many"}])
def test_wrong_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ManifestInvalidError, match=r"parameters\."):
        make_task("Mirror", **parameters)
