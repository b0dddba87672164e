"""The task faq-matching: questions in, the frequently asked questions they probably duplicate out."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated
from zipfile import BadZipFile

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, TypeAdapter, ValidationError

from scoring_runtime.errors import (
    InputTooLongError,
    ManifestInvalidError,
    MissingInputError,
    ModelInvalidError,
    RequestError,
    TooManyItemsError,
)
from scoring_runtime.faq import TRUSTED_TYPES, Match, Matcher, Original, Scores
from scoring_runtime.manifest import Manifest, RelativePath, find_file, read_parameters
from scoring_runtime.scorers import Scorer, explain_missing_package
from scoring_runtime.tasks import Json, RequestBody, TaskLimits, check_finite, check_not_empty, get_input
from scoring_runtime.tensors import ANY_SIZE, DataType, Signature, Tensors, TensorSpec

EXAMPLE = {"input": "How do I read a file?"}

MAX_QUESTION_CHARACTERS = 10_000
"""Cleaning and vectorising hold the interpreter, so that probes wait meanwhile: a text of this length costs a few ms."""
MAX_QUESTIONS = 1_000
"""In one request of tensors: scored one after the other, while other requests wait."""
EXACT_ORIGINALS = 20_000
"""Up to so many originals, each gets its exact score unless the manifest says otherwise."""
CANDIDATES = 200
"""Beyond, so many are found first. The sample's README tells how often the best of all is among them."""

Questions = tuple[str, ...]
Matches = list[list[Match]]  # of each question of a request, best first

# 64 bits, signed or not: what JSON in other languages, and orjson, can carry.
Id = Annotated[StrictInt, Field(ge=-(2**63), lt=2**64)] | StrictStr


class _OriginalRow(BaseModel):
    """One element of the file of originals."""

    model_config = ConfigDict(frozen=True)

    id: Id
    answer_id: Id = Field(alias="answerId")
    text: str


_ROWS = TypeAdapter(Annotated[list[_OriginalRow], Field(min_length=1)])


class _Retrieval(BaseModel):
    """How many originals get a score: `candidates` that are found first, or all of them (null)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: Annotated[int, Field(ge=1)] | None


class _Embeddings(BaseModel):
    """Files of the form that understands meaning, whose model is a sentence encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokenizer: RelativePath
    known: RelativePath


class FaqParameters(BaseModel):
    """Parameters of faq-matching: the file of the originals, how many matches to answer, and how they are found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    originals: RelativePath
    top: int = Field(default=3, ge=1)
    retrieval: _Retrieval | None = None
    embeddings: _Embeddings | None = None


class FaqMatching:
    """Matches questions with the artifact's originals. The answer is (id, answerId, probability) rows, best first."""

    file_types: tuple[str, ...] = ()
    trusted_types = TRUSTED_TYPES
    classes: int | None = None
    max_batch_size = 1

    def __init__(self, manifest: Manifest, folder: Path, _limits: TaskLimits) -> None:
        self._parameters = read_parameters(manifest, FaqParameters)
        self._folder = folder
        self._originals = _read_originals(find_file(folder, self._parameters.originals, "parameters.originals"))
        self._top = min(self._parameters.top, len(self._originals))
        self._example = manifest.example or EXAMPLE
        self._matcher: Matcher | None = None

    @property
    def signature(self) -> Signature:
        """One text per question in; `top` ids, ids of answers and probabilities per question out, best first."""
        columns: tuple[tuple[str, DataType], ...] = (("id", "BYTES"), ("answer_id", "BYTES"), ("probability", "FP64"))
        outputs = tuple(TensorSpec(name=name, datatype=kind, shape=(ANY_SIZE, self._top)) for name, kind in columns)
        return Signature(inputs=(TensorSpec(name="question", datatype="BYTES", shape=(ANY_SIZE,)),), outputs=outputs)

    def attach(self, scorer: Scorer) -> None:
        """Compute the features of the originals once. Raises ModelInvalidError when the model cannot take them."""
        files = self._parameters.embeddings
        try:
            self._matcher = self._match_meanings(scorer, files) if files else self._match_words(scorer)
            self.max_batch_size = self._matcher.max_batch_size
        except ModuleNotFoundError as error:
            raise explain_missing_package(error, "onnx" if files else "sklearn") from error
        except (ValueError, TypeError, KeyError, AttributeError, OSError, BadZipFile, RequestError) as error:
            raise ModelInvalidError(f"The model cannot match the originals: {type(error).__name__}: {error}") from error

    def make_example(self) -> RequestBody:
        """Return the manifest's example or a question of the task's own."""
        return RequestBody(payload=self._example)

    def read(self, body: RequestBody) -> Questions:
        """Return the one question of /score. Raises MissingInputError, EmptyInputError or InputTooLongError."""
        question = get_input(body.payload)
        if not isinstance(question, str):
            raise MissingInputError('input must be a string: send {"input": "<question>"}.')
        return (_check_question(question, "input"),)

    def read_tensors(self, tensors: Tensors) -> Questions:
        """Return the texts of the tensor `question` (n). Raises RequestError."""
        if "question" not in tensors:
            raise MissingInputError("There is no tensor named question: send the questions as BYTES of the shape [n].")
        questions = tensors["question"]
        check_not_empty(questions.size, "The tensor question is empty: send at least one question.")
        if len(questions) > MAX_QUESTIONS:
            raise TooManyItemsError(
                f"The request holds {len(questions)} questions; at most {MAX_QUESTIONS} are read. Send several requests."
            )
        return tuple(_check_question(_decode(value), f"question[{row}]") for row, value in enumerate(questions.flat))

    def count(self, inputs: Questions) -> int:
        """Return how many questions a request holds."""
        return len(inputs)

    def score(self, requests: Sequence[Questions]) -> list[Matches]:
        """Return the best matches of each request's questions. Raises ScoringFailedError for NaN."""
        if self._matcher is None:
            raise ModelInvalidError("No scorer is attached to the task.")
        scores = iter(self._matcher.score([question for questions in requests for question in questions]))
        return [[self._rank(next(scores)) for _ in questions] for questions in requests]

    def write(self, outputs: Matches) -> Json:
        """Return [id, answerId, probability] of the best matches of the one question."""
        return [list(match) for match in outputs[0]]

    def write_tensors(self, outputs: Matches) -> Tensors:
        """Return `id`, `answer_id` (BYTES: ids as text) and `probability` (FP64), each of the shape (n, top)."""
        return {
            "id": _make_texts([match[0] for match in matches] for matches in outputs),
            "answer_id": _make_texts([match[1] for match in matches] for matches in outputs),
            "probability": np.array([[match[2] for match in matches] for matches in outputs], dtype=np.float64),
        }

    def _rank(self, scores: Scores) -> list[Match]:
        check_finite(scores.probabilities)
        rows, shares = scores.find_best(self._top)
        found = [self._originals[row] for row in rows]
        return [(one.id, one.answer_id, float(share)) for one, share in zip(found, shares, strict=True)]

    def _match_words(self, scorer: Scorer) -> Matcher:
        from scoring_runtime.faq.matching import FaqMatcher  # noqa: PLC0415  # with scikit-learn and pandas

        if not hasattr(scorer.model, "predict_proba"):
            kind = type(scorer.model).__name__
            raise ModelInvalidError(
                f"The model is a {kind} without predict_proba, which faq-matching asks for the probability of a "
                "duplicate: save a fitted classifier or pipeline."
            )
        return FaqMatcher(scorer.model, self._originals, candidates=self._count_candidates())

    def _match_meanings(self, scorer: Scorer, files: _Embeddings) -> Matcher:
        from scoring_runtime.faq import embeddings  # noqa: PLC0415  # with tokenizers

        known = embeddings.load_known(find_file(self._folder, files.known, "parameters.embeddings.known"))
        if len(known.groups.own) != len(self._originals):
            raise ValueError(f"{files.known} knows {len(known.groups.own)} originals, not {len(self._originals)}")
        tokenizer = find_file(self._folder, files.tokenizer, "parameters.embeddings.tokenizer")
        encoder = embeddings.SentenceEncoder(tokenizer.read_text(encoding="utf-8"), scorer.score)
        width = encoder.encode([EXAMPLE["input"]]).shape[1]
        if width != known.vectors.shape[1]:
            raise ValueError(
                f"{files.known} holds vectors of {known.vectors.shape[1]} numbers, the encoder gives {width}"
            )
        return embeddings.EmbeddingMatcher(encoder, known, candidates=self._count_candidates())

    def _count_candidates(self) -> int | None:
        """Return how many originals get a score; None: all of them."""
        candidates = CANDIDATES if len(self._originals) > EXACT_ORIGINALS else None
        if self._parameters.retrieval is not None:
            candidates = self._parameters.retrieval.candidates
        return candidates and max(candidates, self._top)


def _check_question(question: str, name: str) -> str:
    check_not_empty(question.strip(), f"{name} is empty: send a question.")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise InputTooLongError(
            f"The question has {len(question)} characters; at most {MAX_QUESTION_CHARACTERS} are read. "
            "Send the question itself."
        )
    return question


def _decode(value: object) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise MissingInputError("A question is not UTF-8: send the texts in UTF-8.") from error
    if not isinstance(value, str):
        raise MissingInputError(f"A question is of the type {type(value).__name__}: send texts as BYTES.")
    return value


def _make_texts(rows: Iterable[Iterable[int | str]]) -> np.ndarray[tuple[int, ...], np.dtype[np.object_]]:
    return np.array([[str(value) for value in row] for row in rows], dtype=np.object_)


def _read_originals(path: Path) -> list[Original]:
    try:
        rows = _ROWS.validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = "".join(f"[{part}]" for part in problem["loc"][:2])
        raise ManifestInvalidError(
            f"{path.name}{place}: {problem['msg']}. It is a list of id, answerId and text."
        ) from None
    return [Original(id=row.id, answer_id=row.answer_id, text=row.text) for row in rows]
