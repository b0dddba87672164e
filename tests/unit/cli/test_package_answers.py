"""`scoring package` of an estimator: what is expected of every replica is what the trained estimator answers, as the runtime writes it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from command_line import Outcome, run_scoring
from scoring_cli.artifacts import read_artifact_manifest
from scoring_cli.errors import InputInvalid
from scoring_cli.packaging import Hints, pack

ROWS = np.arange(12.0).reshape(6, 2)
CLASSES = [0, 1, 0, 1, 0, 1]

vectorizer = TfidfVectorizer().fit(["a cat", "a dog"])
two_targets = RandomForestClassifier(3, random_state=0).fit(
    ROWS, np.array([[0, 0], [1, 1], [0, 2], [1, 0], [0, 1], [1, 2]])
)
table = LogisticRegression().fit(pd.DataFrame(ROWS, columns=["a", "b"]), CLASSES)
rows = LogisticRegression().fit(ROWS, CLASSES)
texts = LogisticRegression().fit(ROWS, ["no", "yes"] * 3)


class Forgetful(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator that is another once it was saved."""

    def __init__(self) -> None:
        self.n_features_in_ = 2
        self.bias = 7.0

    def __getstate__(self) -> dict[str, Any]:
        return {"n_features_in_": 2, "bias": 0.0}

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the bias of each row."""
        return np.full(len(rows), self.bias)


def read_expected(folder: Path) -> Any:
    expectation = read_artifact_manifest(folder / "model.tar").expect
    assert expectation is not None
    return expectation.answer


class Unloadable(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator that forgets what it needs when it is loaded."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise ValueError("no weights")

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return zeros."""
        return np.zeros(len(rows))


def package(folder: Path, name: str, given: object, *more: object) -> Outcome:
    example = folder / "example.json"
    example.write_text(json.dumps({"input": given}))
    archive = folder / "model.tar"
    return run_scoring(
        "package", f"{__file__}:{name}", "--name", "m", "--to", archive, "--example", example, *more, "-o", "json"
    )


@pytest.mark.parametrize(
    ("name", "given", "methods"),
    [
        ("vectorizer", ["a cat", "two dogs"], ("transform",)),
        ("two_targets", [[1, 2], [3, 4]], ("predict_proba",)),
        ("two_targets", [[1, 2]], ("predict", "predict_proba")),
        ("table", [{"b": 1, "a": 2}], ("predict_proba",)),
        ("table", [[2, 1]], ("predict_proba",)),
        ("table", {"b": [1, 3], "a": [2, 9]}, ("predict_proba",)),
        ("rows", {"input": [[1, 2], [9, 10]]}, ("decision_function",)),
        ("texts", [[1, 2]], ("predict",)),
    ],
    ids=[
        "sparse",
        "targets",
        "targets and methods",
        "keys in any order",
        "rows of a table",
        "columns",
        "named rows",
        "texts",
    ],
)
def test_answer_that_is_expected_is_the_one_that_the_runtime_gives(
    tmp_path: Path, name: str, given: object, methods: tuple[str, ...]
) -> None:
    done = package(tmp_path, name, given, *(word for method in methods for word in ("--method", method)))
    assert done.status == 0, done.stderr
    assert done.json["trial"].endswith("answers as expected")


def test_targets_are_expected_under_the_names_of_the_runtime(tmp_path: Path) -> None:
    assert package(tmp_path, "two_targets", [[1, 2]], "--method", "predict_proba", "--no-try").status == 0
    answer = read_expected(tmp_path)
    assert np.allclose(answer["predict_proba_1"], two_targets.predict_proba([[1, 2]])[1])


def test_columns_are_asked_in_the_order_in_which_the_estimator_knows_them() -> None:
    packed = pack(table, Hints(methods=("predict_proba",), example=[{"b": 1, "a": 2}]))
    expected = table.predict_proba(pd.DataFrame({"a": [2.0], "b": [1.0]}))
    assert np.allclose(packed.fields["expect"]["answer"], expected)


def test_estimator_that_is_another_once_saved_is_refused() -> None:
    with pytest.raises(InputInvalid, match=r"Forgetful.*answer\[0\] is 0.0, expected 7.0"):
        pack(Forgetful(), Hints(example=[[1, 2]], as_joblib=True))


def test_estimator_that_cannot_be_loaded_is_refused() -> None:
    with pytest.raises(InputInvalid, match=r"model\.joblib cannot be loaded once it was saved: ValueError: no weights"):
        pack(Unloadable(), Hints(example=[[1, 2]], as_joblib=True))


def test_answer_that_no_response_can_carry_is_refused() -> None:
    broken = FunctionTransformer(np.log).fit(ROWS + 1)
    with np.errstate(divide="ignore"), pytest.raises(InputInvalid, match=r"--example.*NaN or an infinite number"):
        pack(broken, Hints(methods=("transform",), example=[[0, 1]], as_joblib=True))


def test_answer_of_the_users_own_is_expected_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text("[1]")
    done = package(tmp_path, "rows", [[0, 1]], "--expect", tmp_path / "answer.json", "--no-try")
    assert done.status == 0, done.stderr
    assert read_expected(tmp_path) == [1]


def test_estimator_of_a_signature_is_asked_by_it(tmp_path: Path) -> None:
    columns = [{"name": name, "datatype": "FP64", "shape": [-1]} for name in ("length", "width")]
    (tmp_path / "signature.json").write_text(json.dumps({"inputs": columns}))
    given = [{"width": 1, "length": 5}]
    done = package(tmp_path, "rows", given, "--signature", tmp_path / "signature.json", "--method", "predict_proba")
    assert done.status == 0, done.stderr
    assert np.allclose(read_expected(tmp_path), rows.predict_proba([[5, 1]]))
