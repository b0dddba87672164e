"""The task faq-matching: a question in, the frequently asked questions it probably duplicates out."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, TypeAdapter, ValidationError

from scoring_runtime.errors import InputTooLongError, ManifestInvalidError, MissingInputError, ModelInvalidError
from scoring_runtime.faq import TRUSTED_TYPES, FaqMatcher, Original
from scoring_runtime.manifest import FaqParameters, Manifest, find_file, read_parameters
from scoring_runtime.scorers import Scorer
from scoring_runtime.tasks import RequestBody, TaskLimits, check_finite, check_not_empty, get_input

EXAMPLE = {"input": "How do I read a file?"}

MAX_QUESTION_CHARACTERS = 10_000
"""Cleaning and vectorising hold the interpreter, so that probes wait meanwhile: a text of this length costs a few ms."""

# 64 bits, signed or not: what JSON in other languages, and orjson, can carry.
Id = Annotated[StrictInt, Field(ge=-(2**63), lt=2**64)] | StrictStr


class _OriginalRow(BaseModel):
    """One element of the file of originals."""

    model_config = ConfigDict(frozen=True)

    id: Id
    answer_id: Id = Field(alias="answerId")
    text: str


_ROWS = TypeAdapter(Annotated[list[_OriginalRow], Field(min_length=1)])


class FaqMatching:
    """Matches a question with the artifact's originals. The answer is [id, answerId, probability] rows, best first."""

    file_types: tuple[str, ...] = ()
    trusted_types = TRUSTED_TYPES
    classes: int | None = None

    def __init__(self, manifest: Manifest, folder: Path, _limits: TaskLimits) -> None:
        parameters = read_parameters(manifest, FaqParameters)
        path = find_file(folder, parameters.originals, "parameters.originals")
        self._originals = _read_originals(path)
        self._top = parameters.top
        self._example = manifest.example or EXAMPLE
        self._matcher: FaqMatcher | None = None

    def attach(self, scorer: Scorer) -> None:
        """Compute the features of the originals once. Raises ModelInvalidError when the model cannot take them."""
        try:
            self._matcher = FaqMatcher(scorer.model, self._originals, top=self._top)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelInvalidError(f"The model cannot match the originals: {type(error).__name__}: {error}") from error

    def make_example(self) -> RequestBody:
        """Return the manifest's example or a question of the task's own."""
        return RequestBody(payload=self._example)

    def read(self, body: RequestBody) -> str:
        """Return the question. Raises MissingInputError, EmptyInputError or InputTooLongError."""
        question = get_input(body.payload)
        if not isinstance(question, str):
            raise MissingInputError('input must be a string: send {"input": "<question>"}.')
        check_not_empty(question.strip(), "input is empty: send a question.")
        if len(question) > MAX_QUESTION_CHARACTERS:
            raise InputTooLongError(
                f"The question has {len(question)} characters; at most {MAX_QUESTION_CHARACTERS} are read. "
                "Send the question itself."
            )
        return question

    def score(self, inputs: str) -> list[list[int | str | float]]:
        """Return [id, answerId, probability] of the best matches. Raises ScoringFailedError for NaN."""
        if self._matcher is None:
            raise ModelInvalidError("No scorer is attached to the task.")
        scores = self._matcher.score(inputs)
        check_finite(scores)
        return [list(match) for match in self._matcher.rank(scores)]


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
