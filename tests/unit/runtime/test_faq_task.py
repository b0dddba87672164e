"""The task faq-matching over both forms: what it reads, what it answers, what it refuses."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from tokenizers import Tokenizer, models, pre_tokenizers

from scoring_runtime.errors import (
    EmptyInputError,
    InputTooLongError,
    ManifestInvalidError,
    MissingInputError,
    ModelInvalidError,
    ScoringFailedError,
    TooManyItemsError,
)
from scoring_runtime.faq.embeddings import Known
from scoring_runtime.faq.features import PairFeatures
from scoring_runtime.faq.groups import Groups
from scoring_runtime.manifest import Manifest
from scoring_runtime.tasks import RequestBody, TaskLimits
from scoring_runtime.tasks.faq_matching import MAX_QUESTIONS, FaqMatching
from scoring_runtime.tensors import Tensors

TEXTS = ["How do I copy an array?", "What does strict mode do?", "How can I parse a date?", "Why is this undefined?"]
IDS = [1, 2, "three", 4]
WORDS = sorted({word for text in [*TEXTS, "clone a list"] for word in text.split()})
WIDTH = 16

MakeTask = Callable[..., FaqMatching]


class Encoder:
    """Gives each word a direction of its own, and a text the mean of its words' directions: a scorer of tensors."""

    model = None

    def __init__(self, width: int = WIDTH, output: str = "embedding") -> None:
        self.directions = np.random.default_rng(3).normal(size=(len(WORDS) + 1, width))
        self.output = output

    def score(self, tensors: Tensors) -> Tensors:
        mask = tensors["attention_mask"][..., None]
        total = (self.directions[tensors["input_ids"]] * mask).sum(axis=1)
        return {self.output: (total / np.linalg.norm(total, axis=1, keepdims=True)).astype(np.float32)}


def write_originals(folder: Path, count: int = len(TEXTS)) -> None:
    rows = [{"id": row, "answerId": f"a{row}", "text": text} for row, text in zip(IDS, TEXTS, strict=True)]
    more = [{"id": row, "answerId": row, "text": f"text {row}"} for row in range(5, count + 1)]
    (folder / "originals.json").write_text(json.dumps(rows + more))


@pytest.fixture
def make_task(tmp_path: Path) -> MakeTask:
    def make(*, count: int = len(TEXTS), **parameters: Any) -> FaqMatching:
        write_originals(tmp_path, count)
        given = {"originals": "originals.json", "top": 2, **parameters}
        manifest = Manifest(name="faq", version="1", task="faq-matching", parameters=given)
        return FaqMatching(manifest, tmp_path, TaskLimits(max_image_pixels=1, decoding_threads=1))

    return make


@pytest.fixture(scope="module")
def scorer() -> Any:
    pairs = pd.DataFrame([(x.lower(), y) for x in TEXTS for y in TEXTS], columns=["Text_x", "Text_y"])
    labels = [int(x == y) for x in TEXTS for y in TEXTS]
    steps = [("features", PairFeatures()), ("scale", StandardScaler()), ("model", LogisticRegression())]
    return SimpleNamespace(model=Pipeline(steps).fit(pairs, labels))


def write_embeddings(folder: Path, **changes: Any) -> dict[str, str]:
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(["?", *WORDS])}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = [[1 + WORDS.index(word) for word in text.split()] for text in TEXTS]
    vectors = [Encoder().score({"input_ids": np.array([row]), "attention_mask": np.ones((1, len(row)))}) for row in ids]
    values = {
        "vectors": np.concatenate([found["embedding"] for found in vectors]),
        "groups": Groups.measure([1] * len(TEXTS)),
        "weights": np.array([8.0, 2.0]),
        "shift": -4.0,
    }
    with (folder / "known.npz").open("wb") as file:
        Known(**{**values, **changes}).save(file)
    return {"tokenizer": "tokenizer.json", "known": "known.npz"}


def ask(task: FaqMatching, *questions: str) -> Any:
    (outputs,) = task.score([task.read_tensors({"question": np.array(questions, dtype=object)})])
    return outputs


def test_score_answers_ids_and_probabilities_best_first(make_task: MakeTask, scorer: Any) -> None:
    task = make_task()
    task.attach(scorer)
    (outputs,) = task.score([task.read(RequestBody({"input": "parse date"}))])
    answer = task.write(outputs)
    assert answer[0][:2] == ["three", "athree"]
    assert len(answer) == 2
    assert answer[0][2] > answer[1][2]


def test_requests_scored_together_answer_what_they_answer_alone(make_task: MakeTask, scorer: Any) -> None:
    task = make_task()
    task.attach(scorer)
    requests = [("copy it",), ("strict mode", "a date"), ("undefined",)]
    assert task.score(requests) == [task.score([request])[0] for request in requests]
    assert [task.count(request) for request in requests] == [1, 2, 1]


def test_tensors_hold_ids_as_text(make_task: MakeTask, scorer: Any) -> None:
    task = make_task(top=9)
    task.attach(scorer)
    tensors = task.write_tensors(ask(task, "copy an array", "parse a date"))
    assert {name: tensor.shape for name, tensor in tensors.items()} == dict.fromkeys(
        ("id", "answer_id", "probability"), (2, 4)
    )
    assert tensors["id"][:, 0].tolist() == ["1", "three"]
    assert [(spec.name, spec.datatype, spec.shape) for spec in task.signature.outputs] == [
        ("id", "BYTES", (-1, 4)),
        ("answer_id", "BYTES", (-1, 4)),
        ("probability", "FP64", (-1, 4)),
    ]


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({}, MissingInputError),
        ({"input": ["a"]}, MissingInputError),
        ({"input": "  "}, EmptyInputError),
        ({"input": "a" * 10_001}, InputTooLongError),
    ],
)
def test_body_without_a_question_is_refused(make_task: MakeTask, payload: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make_task().read(RequestBody(payload))


@pytest.mark.parametrize(
    ("tensors", "error", "message"),
    [
        ({"text": ["a"]}, MissingInputError, "no tensor named question"),
        ({"question": []}, EmptyInputError, "send at least one"),
        ({"question": ["a", " "]}, EmptyInputError, r"question\[1\] is empty"),
        ({"question": [b"\xff"]}, MissingInputError, "not UTF-8"),
        ({"question": [1]}, MissingInputError, "of the type int"),
        ({"question": ["a"] * (MAX_QUESTIONS + 1)}, TooManyItemsError, "Send several requests"),
    ],
)
def test_tensors_without_questions_are_refused(
    make_task: MakeTask, tensors: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_task().read_tensors({name: np.array(values, dtype=object) for name, values in tensors.items()})


def test_bytes_and_texts_are_read_alike(make_task: MakeTask) -> None:
    assert make_task().read_tensors({"question": np.array(["für", "für".encode()], dtype=object)}) == ("für", "für")


def test_model_without_probabilities_is_refused(make_task: MakeTask) -> None:
    with pytest.raises(ModelInvalidError, match="The model is a LinearRegression without predict_proba"):
        make_task().attach(SimpleNamespace(model=LinearRegression()))


def test_scores_that_are_no_numbers_are_an_error(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task(embeddings=write_embeddings(tmp_path, shift=float("nan")))
    task.attach(Encoder())  # type: ignore[arg-type]
    with pytest.raises(ScoringFailedError, match="NaN"):
        ask(task, "copy an array")


@pytest.mark.parametrize(
    ("count", "retrieval", "expected"),
    [
        (4, None, None),
        (301, None, 200),
        (301, {"candidates": None}, None),
        (301, {"candidates": 30}, 30),
    ],
)
def test_candidates_are_found_among_many_originals(
    make_task: MakeTask,
    scorer: Any,
    count: int,
    retrieval: Any,
    expected: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scoring_runtime.tasks.faq_matching.EXACT_ORIGINALS", 300)
    task = make_task(count=count, retrieval=retrieval)
    task.attach(scorer)
    assert task._matcher is not None
    (scores,) = task._matcher.score(["how can i parse a date"])
    assert (None if scores.rows is None else len(scores.rows)) == expected
    assert ask(task, "how can i parse a date")[0][0][0] == "three"


def test_unknown_parameter_is_refused(make_task: MakeTask) -> None:
    with pytest.raises(ManifestInvalidError, match=r"parameters\.retrieval\.candidates"):
        make_task(retrieval={"candidates": 0})


@pytest.mark.parametrize("candidates", [None, 2])
def test_embeddings_answer_by_the_nearest_meaning(make_task: MakeTask, tmp_path: Path, candidates: Any) -> None:
    task = make_task(embeddings=write_embeddings(tmp_path), retrieval={"candidates": candidates})
    task.attach(Encoder())  # type: ignore[arg-type]
    matches = ask(task, "How can I parse a date?", "copy an array?", "strict mode")
    assert [row[0][0] for row in matches] == ["three", 1, 2]
    assert matches[0][0][2] == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-6)
    assert task.max_batch_size > 1


def test_questions_encoded_together_answer_what_they_answer_alone(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task(embeddings=write_embeddings(tmp_path))
    task.attach(Encoder())  # type: ignore[arg-type]
    many = ["copy", "strict mode", "How can I parse a date?"] * 7
    for together, question in zip(ask(task, *many), many, strict=True):
        (alone,) = ask(task, question)
        assert [row[:2] for row in together] == [row[:2] for row in alone]
        np.testing.assert_allclose([row[2] for row in together], [row[2] for row in alone], rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "encoder", "message"),
    [
        ({"vectors": np.ones((4, WIDTH))}, Encoder(), "not float32"),
        ({"groups": Groups.measure([2, 2])}, Encoder(), "knows 2 originals, not 4"),
        ({"groups": Groups.measure([1, 1])}, Encoder(), "do not begin at 0 and end at 4"),
        ({"weights": np.ones(3)}, Encoder(), "3 weights instead of 2"),
        ({}, Encoder(width=3), "vectors of 16 numbers, the encoder gives 3"),
        ({}, Encoder(output="sentence"), "embedding"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(
    make_task: MakeTask, tmp_path: Path, changes: Any, encoder: Any, message: str
) -> None:
    task = make_task(embeddings=write_embeddings(tmp_path, **changes))
    with pytest.raises(ModelInvalidError, match=message):
        task.attach(encoder)


@pytest.mark.parametrize("name", ["known.npz", "tokenizer.json"])
def test_damaged_files_of_embeddings_are_refused(make_task: MakeTask, tmp_path: Path, name: str) -> None:
    task = make_task(embeddings=write_embeddings(tmp_path))
    (tmp_path / name).write_bytes(b"PK damaged")
    with pytest.raises(ModelInvalidError, match="The model cannot match the originals"):
        task.attach(Encoder())  # type: ignore[arg-type]


def test_known_texts_never_run_code_of_the_file(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task(embeddings=write_embeddings(tmp_path))
    saved = io.BytesIO()
    np.savez(saved, vectors=np.array([{}], dtype=object), bounds=np.array([0, 1]))
    (tmp_path / "known.npz").write_bytes(saved.getvalue())
    with pytest.raises(ModelInvalidError, match="allow_pickle"):
        task.attach(Encoder())  # type: ignore[arg-type]


def test_form_of_meaning_imports_no_scikit_learn() -> None:
    program = (
        "import sys, scoring_runtime.tasks.faq_matching, scoring_runtime.faq.embeddings;"
        "print([name for name in ('sklearn', 'pandas', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
