"""The texts of the FAQ: the model answers with ids, people want to read. Above `errors`.

The file is what `python -m samples.faq train` writes as answers.json: `{"<answer id>": {"title": "…", "answer": "…"}}`.
"""

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

_logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Match:
    """A FAQ that matches, as the browser gets it."""

    id: int | str
    title: str
    answer: str
    score: float


class Answers:
    """The texts by answer id, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._read_at: int | None = None
        self._texts: dict[str, Any] = {}

    def find(self, answer_id: int | str) -> tuple[str, str]:
        """Return title and answer; a title of the id and no answer where the file does not know it."""
        text = self._load().get(str(answer_id), {})
        return str(text.get("title", f"FAQ {answer_id}")), str(text.get("answer", ""))

    def _load(self) -> dict[str, Any]:
        with self._lock:
            try:
                changed_at = self._path.stat().st_mtime_ns
                if changed_at != self._read_at:
                    self._texts, self._read_at = read_texts(self._path), changed_at
            except (OSError, ValueError) as error:
                # What was read before goes on being shown: half a file may lie there for a moment.
                _logger.warning("no answers", file=str(self._path), reason=str(error))
            return self._texts


def read_texts(path: Path) -> dict[str, Any]:
    """Return the file's texts; raises ValueError when it is not such a file."""
    texts = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(texts, dict) or not all(isinstance(text, dict) for text in texts.values()):
        raise ValueError('not an object of {"title", "answer"} by answer id')
    return texts
