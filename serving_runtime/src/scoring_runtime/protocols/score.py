"""The protocol of the reference: `POST /score` with `{"input": …}`, images also as multipart or a raw body."""

from collections.abc import Mapping
from functools import partial
from io import BytesIO
from time import perf_counter
from typing import IO

import orjson
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from scoring_runtime.errors import InvalidInputError, TooManyItemsError, UnsupportedMediaTypeError
from scoring_runtime.protocols import JSON, Handler, HttpAnswer, HttpRequest
from scoring_runtime.service import ScoringService
from scoring_runtime.tasks import RequestBody, Task

PATH = "/score"
MULTIPART = "multipart/form-data"
RAW_IMAGE = "image/*"
RAW_IMAGE_NAME = "image"
MAX_PARTS = 256
"""More than any task takes. Each costs as much time as a small request, and 8 MiB hold a hundred thousand of them."""


class ScoreProtocol:
    """`POST /score`: answers `{"result": [answer, "Computed in X ms"]}`."""

    name = "score"

    def __init__(self, service: ScoringService) -> None:
        self._service = service
        self.routes: Mapping[str, Handler] = {PATH: self.score}

    def find(self, _path: str) -> Handler | None:
        """Return None: there are no other paths."""
        return None

    def score(self, request: HttpRequest) -> HttpAnswer:
        """Read the request, score it, answer."""
        started = perf_counter()
        task = self._service.get_model().task
        _check_kind(request, task)
        outputs = self._service.score(task, lambda: task.read(_read_body(request)))
        answer = task.write(outputs)
        result = [answer, f"Computed in {(perf_counter() - started) * 1000:.2f} ms"]
        return HttpAnswer(orjson.dumps({"result": result}, option=orjson.OPT_SERIALIZE_NUMPY))


def _check_kind(request: HttpRequest, task: Task) -> None:
    """Refuse what the headers alone tell: no place in the queue is needed for that."""
    kind = request.mimetype
    if kind != JSON and (RAW_IMAGE if kind.startswith("image/") else kind) not in task.file_types:
        accepted = ", ".join((JSON, *task.file_types))
        given = f"Content-Type {kind!r} is not read here" if kind else "No Content-Type is given"
        raise UnsupportedMediaTypeError(f"{given}. Send one of: {accepted}.")
    request.check_length()


def _read_body(request: HttpRequest) -> RequestBody:
    if request.mimetype == JSON:
        return RequestBody(payload=request.read_json())
    body = request.read()
    if request.mimetype == MULTIPART:
        return RequestBody(files=_read_parts(body, request.content_type))
    return RequestBody(files=((RAW_IMAGE_NAME, body),))


def _read_parts(body: bytes, content_type: str) -> tuple[tuple[str, bytes], ...]:
    """Return the file parts by their field names. They stay in memory: the body limit bounds them."""
    parser = FormDataParser(
        stream_factory=_open_memory, max_form_memory_size=len(body) + 1, max_form_parts=MAX_PARTS, silent=False
    )
    parse = partial(parser.parse, BytesIO(body), MULTIPART, len(body), parse_options_header(content_type)[1])
    try:
        _, _, files = parse()
    except RequestEntityTooLarge as error:
        raise TooManyItemsError(f"The form has more than {MAX_PARTS} parts: send several requests.") from error
    except (ValueError, HTTPException) as error:
        raise InvalidInputError("The body is not multipart/form-data: send each image as a file part.") from error
    return tuple((name, part.stream.read()) for name, part in files.items(multi=True))


def _open_memory(*_arguments: object, **_options: object) -> IO[bytes]:
    return BytesIO()
