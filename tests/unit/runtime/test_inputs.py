"""What the task prediction reads: the forms of a request, and where and why a value is refused."""

import math
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_tasks import ask, attach_task, load_python, make_signature
from scoring_runtime.errors import (
    EmptyInputError,
    InvalidInputError,
    MissingInputError,
    RequestError,
    TooManyItemsError,
)
from scoring_runtime.tasks import RequestBody, Task

PERSON = {"age": ("FP64", [-1]), "city": ("BYTES", [-1]), "children": ("INT32", [-1]), "member": ("BOOL", [-1])}
ANN = {"age": 41.5, "city": "Oslo", "children": 2, "member": True}
BOB = {"age": None, "city": "Ørsta", "children": 0, "member": False}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*PERSON, "x"]), inner, max_size=5),
    max_leaves=20,
)


def make_echo(inputs: dict[str, tuple[str, list[int]]], **fields: Any) -> Task:
    return attach_task(load_python("Echo"), signature=make_signature(inputs), **fields)


@pytest.fixture
def rows() -> Task:
    return attach_task(load_python("Sum"))


@pytest.fixture
def people() -> Task:
    return make_echo(PERSON)


def refuse(task: Task, value: Any, error: type[RequestError] = InvalidInputError) -> str:
    with pytest.raises(error) as caught:
        task.read(RequestBody(payload={"input": value}))
    return caught.value.message


def answer_or_refuse(task: Task, value: Any) -> str:
    """Return the code of the error with which a value is refused, else `answered`."""
    try:
        outputs = task.score([task.read(RequestBody(payload={"input": value}))])[0]
    except RequestError as error:
        return error.code
    orjson.dumps(task.write(outputs), option=orjson.OPT_SERIALIZE_NUMPY)
    return "answered"


class TestForms:
    def test_rows_of_the_only_input_are_answered_by_a_list(self, rows: Task) -> None:
        assert ask(rows, [[1, 2, 3, 4], [0.5, 0, 0, 0]]).tolist() == [10.0, 0.5]

    def test_only_input_may_be_named(self, rows: Task) -> None:
        assert ask(rows, {"x": [[1, 2, 3, 4]]}).tolist() == [10.0]
        assert ask(rows, [{"x": [1, 2, 3, 4]}]).tolist() == [10.0]

    @pytest.mark.parametrize(
        "value",
        [
            [ANN, BOB],
            {name: [ANN[name], BOB[name]] for name in ANN},
            [list(ANN.values()), list(BOB.values())],
        ],
        ids=["objects", "columns", "rows"],
    )
    def test_table_is_read_in_each_form(self, people: Task, value: Any) -> None:
        inputs = people.read(RequestBody(payload={"input": value}))
        assert [tensor.dtype for tensor in inputs.values()] == [np.float64, object, np.int32, np.bool_]
        assert inputs["age"][0] == 41.5
        assert math.isnan(inputs["age"][1])
        assert inputs["city"].tolist() == ["Oslo", "Ørsta"]
        assert inputs["children"].tolist() == [2, 0]
        assert inputs["member"].tolist() == [True, False]
        assert people.count(inputs) == 2

    def test_several_outputs_are_answered_by_name(self) -> None:
        task = make_echo({"a": ("FP32", [-1]), "text": ("BYTES", [-1])})
        answer = orjson.dumps(ask(task, {"a": [0.1], "text": ["x"]}), option=orjson.OPT_SERIALIZE_NUMPY)
        assert answer == b'{"a":[0.1],"text":["x"]}'

    def test_texts_are_answered_as_texts(self) -> None:
        assert ask(make_echo({"text": ("BYTES", [-1])}), ["a", "b"]) == ["a", "b"]

    def test_fixed_first_axis_is_kept(self) -> None:
        task = make_echo({"x": ("FP64", [1, 2])})
        assert task.max_batch_size == 1
        assert ask(task, [[1, 2]]).tolist() == [[1, 2]]
        assert "has 2 values; the model takes 1" in refuse(task, [[1, 2], [3, 4]])

    def test_objects_and_rows_of_a_tensor_with_more_axes_are_read(self) -> None:
        task = make_echo({"x": ("FP64", [-1, 2]), "y": ("INT64", [-1])})
        assert ask(task, [{"x": [1, 2], "y": 3}])["x"].tolist() == [[1.0, 2.0]]
        assert "none of the forms" in refuse(task, [[[1, 2], 3]])


class TestRefusals:
    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ([[1, 2, 3, 4], [1, 2, 3]], "input[1] has 3 values; the model takes 4. The model takes x FP64 [-1, 4]."),
            ([[1, 2, 3, "4"]], "input[0][3] is the text '4'; a number or null is expected here."),
            ([[1, 2, True, 4]], "input[0][2] is true; a number or null is expected here."),
            ([[1, 2, [3], 4]], "input[0][2] is a list; a number or null is expected here."),
            ([[1, 2, 3, 10**400]], "which is too large for FP64"),
            ([[1, 2, 3, 4], None], "input[1] is null; a list is expected here."),
            ([[]], "input[0] is empty"),
            ([1, 2, 3, 4], "input[0] is 1; a list is expected here."),
            ("text", "input has none of the forms that are read here. The model takes x FP64 [-1, 4]: send"),
            (None, "input has none of the forms"),
            ({"y": [[1, 2, 3, 4]]}, "input lacks 'x'."),
            ({"x": [[1, 2, 3, 4]], "y": 1}, "input has 'y', which the model does not take."),
            ({"x": 3}, "input.x is 3; a list is expected here."),
            ([{"x": [1, 2, 3, 4]}, {"x": [1, 2, 3, "4"]}], "input[1].x[3] is the text '4'"),
            ([{"x": [1, 2, 3, 4]}, [1, 2, 3, 4]], "input[1] is no object"),
            ([{"x": [1, 2, 3, 4]}, {}], "input[1] lacks 'x'."),
        ],
    )
    def test_wrong_value_is_named_by_its_place(self, rows: Task, value: Any, message: str) -> None:
        assert message in refuse(rows, value)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"age": "41"}, "input[1].age is the text '41'; a number or null is expected here."),
            ({"city": 3}, "input[1].city is 3; a text is expected here."),
            ({"city": None}, "input[1].city is null; a text is expected here."),
            ({"children": 1.5}, "input[1].children is 1.5, which is no whole number of INT32"),
            ({"children": 2**31}, "input[1].children is 2147483648, which is no whole number of INT32"),
            ({"children": None}, "input[1].children is null; a whole number is expected here."),
            ({"member": 1}, "input[1].member is 1; true or false is expected here."),
            ({"member": {}}, "input[1].member is an object; true or false is expected here."),
        ],
    )
    def test_wrong_value_of_a_table_is_named_by_row_and_column(
        self, people: Task, change: dict[str, Any], message: str
    ) -> None:
        assert message in refuse(people, [ANN, {**BOB, **change}])

    def test_row_of_another_length_is_told_the_columns(self, people: Task) -> None:
        assert "input[1] is a list of 1; the model takes 4: age, city, children, member." in refuse(
            people, [list(ANN.values()), [1]]
        )

    def test_columns_of_different_lengths_are_refused(self, people: Task) -> None:
        columns = {name: [value] for name, value in ANN.items()}
        message = refuse(people, {**columns, "city": ["a", "b"]})
        assert message == "There are 2 items of 'city', but 1 of 'age': send as many of each."

    def test_long_text_is_shortened_in_the_message(self, rows: Task) -> None:
        assert len(refuse(rows, [[1, 2, 3, "x" * 100_000]])) < 300

    @pytest.mark.parametrize("value", [[], {"x": []}])
    def test_no_items_are_refused(self, rows: Task, value: Any) -> None:
        with pytest.raises((EmptyInputError, InvalidInputError), match="is empty"):
            rows.read(RequestBody(payload={"input": value}))

    def test_missing_input_is_refused(self, rows: Task) -> None:
        with pytest.raises(MissingInputError):
            rows.read(RequestBody(payload={"inputs": []}))

    @pytest.mark.parametrize("value", [[[1, 2, 3, 4]] * 3, {"x": [[1, 2, 3, 4]] * 3}, [{"x": [1, 2, 3, 4]}] * 3])
    def test_more_items_than_allowed_are_refused(self, value: Any) -> None:
        task = attach_task(load_python("Sum"), parameters={"maxItems": 2})
        assert "holds 3 items; at most 2" in refuse(task, value, TooManyItemsError)

    def test_values_of_a_varying_axis_must_be_alike(self) -> None:
        task = make_echo({"x": ("FP64", [-1, -1])})
        assert "input[1] has 1 value; those before it have 2" in refuse(task, [[1, 2], [3]])

    def test_whole_numbers_written_as_floats_are_integers(self) -> None:
        task = make_echo({"n": ("INT64", [-1])})
        inputs = task.read(RequestBody(payload={"input": [3.0, 4, -5.0]}))
        assert inputs["n"].dtype == np.int64
        assert inputs["n"].tolist() == [3, 4, -5]

    @pytest.mark.parametrize("large", [2**53 + 1, 2**53 + 3, 2**63 - 1, -(2**63)])
    def test_large_integers_are_exact_beside_whole_numbers_written_as_floats(self, large: int) -> None:
        task = make_echo({"n": ("INT64", [-1, 2])})
        inputs = task.read(RequestBody(payload={"input": [[large, 1.0], [-0.0, 4]]}))
        assert inputs["n"].dtype == np.int64
        assert inputs["n"].tolist() == [[large, 1], [0, 4]]

    @pytest.mark.parametrize(
        ("value", "shown"), [(1.5, "1.5"), (2.0**53 + 2, "9007199254740994.0"), (2**63, str(2**63)), (1e300, "1e+300")]
    )
    def test_number_that_is_no_integer_is_named_beside_large_ones(self, value: float, shown: str) -> None:
        task = make_echo({"n": ("INT64", [-1])})
        assert f"input[2] is {shown}, which is no whole number of INT64" in refuse(task, [2**53 + 1, 1.0, value])

    def test_large_integers_are_exact(self) -> None:
        assert ask(make_echo({"n": ("UINT64", [-1])}), [2**64 - 1]).tolist() == [2**64 - 1]

    @pytest.mark.parametrize(("kind", "value"), [("FP32", 1e300), ("FP16", 70000), ("UINT8", -1), ("INT64", 2.0**60)])
    def test_number_beyond_the_datatype_is_refused(self, kind: str, value: float) -> None:
        assert kind in refuse(make_echo({"x": (kind, [-1])}), [value])

    @given(JSON)
    def test_any_json_is_answered_or_refused(self, value: Any) -> None:
        for task in (
            attach_task(load_python("Lengths"), signature=make_signature({"x": ("FP32", [-1, 2])})),
            make_echo(PERSON),
        ):
            outcome = answer_or_refuse(task, value)
            # A missing number comes in as null and goes out of this model as NaN, which no answer can carry.
            assert outcome in {"answered", "InvalidInput", "EmptyInput"} or "null" in orjson.dumps(value).decode()


class TestTensors:
    def test_tensors_of_the_signature_are_taken(self, rows: Task) -> None:
        outputs = rows.score([rows.read_tensors({"x": np.ones((2, 4))})])[0]
        assert rows.write_tensors(outputs)["y"].tolist() == [4.0, 4.0]

    @pytest.mark.parametrize(
        ("tensors", "message"),
        [
            ({"x": np.ones((2, 4), dtype=np.float32)}, "The input 'x' is FP32 [2, 4]; the model takes FP64 [-1, 4]"),
            ({"x": np.ones((2, 3))}, "The input 'x' is FP64 [2, 3]; the model takes FP64 [-1, 4]"),
            ({"y": np.ones((2, 4))}, "The request lacks 'x'"),
            ({"x": np.ones((2, 4)), "z": np.ones(2)}, "The request has 'z', which the model does not take"),
        ],
    )
    def test_other_tensors_are_refused(self, rows: Task, tensors: Any, message: str) -> None:
        with pytest.raises(InvalidInputError) as caught:
            rows.read_tensors(tensors)
        assert message in caught.value.message

    def test_no_items_are_refused(self, rows: Task) -> None:
        with pytest.raises(EmptyInputError):
            rows.read_tensors({"x": np.ones((0, 4))})

    def test_bytes_become_texts(self) -> None:
        task = make_echo({"text": ("BYTES", [-1, 1])})
        inputs = task.read_tensors({"text": np.array([["Ørsta".encode()], ["b"]], dtype=object)})
        assert inputs["text"].tolist() == [["Ørsta"], ["b"]]

    def test_bytes_that_are_no_text_are_refused(self) -> None:
        task = make_echo({"text": ("BYTES", [-1])})
        with pytest.raises(InvalidInputError, match="not UTF-8"):
            task.read_tensors({"text": np.array([b"\xff"], dtype=object)})
