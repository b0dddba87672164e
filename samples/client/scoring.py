"""What the page asks for: a question's matching FAQs, a picture's labels. Above `models`, `answers` and `limits`; mounted by `app`."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from flask import Blueprint, request

from samples.client.answers import Answers, Match
from samples.client.errors import ClientError
from samples.client.limits import Limits
from samples.client.models import Model
from samples.client.sessions import Sessions
from samples.client.words import NOT_UNDERSTOOD, explain

MAX_QUESTION = 10_000
PICTURES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp")

_WORDNET = re.compile(r"n[0-9]{8} ")

Json = dict[str, Any]
Row = TypeVar("Row")


@dataclass(frozen=True)
class Label:
    """What a picture may show, as the browser gets it."""

    label: str
    score: float


@dataclass(frozen=True)
class Scoring:
    """The two models, of which one may be missing."""

    faq: Model | None
    images: Model | None
    answers: Answers
    sessions: Sessions
    limits: Limits

    def create_pages(self) -> Blueprint:
        """Return the routes, all for those who have signed in; their errors are the app's, as JSON."""
        pages = Blueprint("scoring", __name__, url_prefix="/api")
        pages.before_request(self.count)
        pages.add_url_rule("/ask", "ask", self.ask, methods=["POST"])
        pages.add_url_rule("/classify", "classify", self.classify, methods=["POST"])
        return pages

    def count(self) -> None:
        """Refuse who asks too often: nobody may use up what the app's key is good for."""
        visitor = self.sessions.read()
        wait = 0 if visitor is None else self.limits.count_request(visitor.id)
        if wait:
            raise ClientError(429, "TooManyRequests", "You have asked very often just now.", retry_after=wait)

    def ask(self) -> Json:
        """POST /api/ask `{"question": "…"}`: the FAQs that match, best first."""
        if self.faq is None:
            raise ClientError(404, "NoFaq", "This app has no model that answers questions.")
        scored = self.faq.score(json.dumps({"input": read_question()}).encode(), "application/json")
        matches = read_rows(scored.answer, self._match)
        return {"matches": [asdict(match) for match in matches], "milliseconds": scored.milliseconds}

    def classify(self) -> Json:
        """POST /api/classify, a picture as the body: what it most probably shows."""
        if self.images is None:
            raise ClientError(404, "NoPictures", "This app has no model that looks at pictures.")
        if request.mimetype not in PICTURES:
            raise ClientError(415, "NoPicture", "That is no picture. Take a JPEG, PNG, WebP, GIF or BMP file.")
        scored = self.images.score(request.get_data(), request.mimetype)
        # One picture was sent: whatever the runtime calls it, there is one answer.
        found = list(scored.answer.values()) if isinstance(scored.answer, dict) else []
        labels = read_rows(found[0] if found else None, read_label)
        return {"labels": [asdict(label) for label in labels], "milliseconds": scored.milliseconds}

    def _match(self, row: list[Any]) -> Match:
        faq_id, answer_id, score = row
        title, answer = self.answers.find(answer_id)
        return Match(faq_id, title, answer, float(score))


def read_question() -> str:
    """Return the question of the request. Raises ClientError."""
    body = request.get_json(silent=True)
    question = body.get("question") if isinstance(body, dict) else None
    if not isinstance(question, str) or not question.strip():
        raise ClientError(400, "NoQuestion", "Please type a question first.")
    if len(question) > MAX_QUESTION:
        raise ClientError(413, "TooLarge", f"A question has at most {MAX_QUESTION:,} characters. Please shorten it.")
    return question


def read_label(row: list[Any]) -> Label:
    """Return a label without the WordNet id that ImageNet's labels begin with."""
    label, score = row
    return Label(_WORDNET.sub("", str(label)), float(score))


def read_rows(rows: object, make: Callable[[Any], Row]) -> list[Row]:
    """Return a model's rows, each made into what is shown. Raises ModelError when the model is of another kind."""
    if not isinstance(rows, list):
        raise explain(NOT_UNDERSTOOD)
    try:
        return [make(row) for row in rows]
    except (TypeError, ValueError) as error:
        raise explain(NOT_UNDERSTOOD) from error
