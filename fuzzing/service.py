"""A runtime's HTTP interface in this process, with models that take any tensor and any text, for the fuzzer to speak to."""

import atexit
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from scoring_runtime.app import create_app
from scoring_runtime.batching import Batcher
from scoring_runtime.loading import load_model
from scoring_runtime.model import ModelSlot
from scoring_runtime.service import ScoringService
from scoring_runtime.settings import Settings
from scoring_runtime.telemetry.metrics import Metrics
from tensor_models import write_artifact

SERVER_ERROR = 500
OVERLOADED = 503
FIXED_BYTES = 4
"""Of an input: which model, path and media type, and the length of a binary request's header."""

MODELS = ("Mirror", "Upper", "Columns")
PATHS = ("/score", "/v2/models/model/infer", "/v1/models/model:predict", "/v2/models/model/versions/1.2.3/infer")
TYPES = ("application/json", "application/octet-stream", "multipart/form-data; boundary=x", "image/png", "")


@cache
def _open_app(class_name: str) -> WSGIApplication:
    folder = Path(tempfile.mkdtemp(prefix="fuzzing-model-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    examples: dict[str, Any] = {"Upper": {"input": ["a"]}, "Columns": {"input": [{"city": "Bern", "age": 1}]}}
    fields = {"example": examples[class_name]} if class_name in examples else {}
    uri = write_artifact(folder / "model", class_name, **fields).as_uri()
    settings = Settings(model_uri=uri, work_dir=folder / "work", threads=1)
    slot, batcher = ModelSlot(), Batcher(settings.max_queue, settings.max_wait_seconds)
    load_model(settings, slot, batcher)
    return create_app(settings, ScoringService(settings.model_name, slot, batcher), Metrics(batcher)).wsgi_app


def post(data: bytes) -> None:
    """Send a request; its first bytes choose model, path, media type and header length. No answer may be a failure of the server."""
    head, body = data[:FIXED_BYTES].ljust(FIXED_BYTES, b"\0"), data[FIXED_BYTES:]
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": PATHS[head[1] % len(PATHS)],
        "CONTENT_TYPE": TYPES[head[2] % len(TYPES)],
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    if head[3]:
        environ["HTTP_INFERENCE_HEADER_CONTENT_LENGTH"] = str(head[3])
    app: Callable[..., Any] = _open_app(MODELS[head[0] % len(MODELS)])
    statuses: list[int] = []
    answer = b"".join(app(environ, lambda status, _headers: statuses.append(int(status[:3]))))
    if statuses[0] == SERVER_ERROR:
        raise AssertionError(f"500: {answer[:200]!r}")
    if b"Traceback" in answer:
        raise AssertionError("an answer shows the inside of the server")


def _write_request(model: int, path: int, body: bytes, *, media_type: int = 0, header_bytes: int = 0) -> bytes:
    return bytes([model, path, media_type, header_bytes]) + body


TENSOR = {"name": "fp32", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2]}
BINARY = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 5}}]}
REQUESTS = [
    _write_request(1, 0, b'{"input": ["a", "b"]}'),
    _write_request(2, 0, b'{"input": [{"city": "Bern", "age": 3}]}'),
    _write_request(0, 1, json.dumps({"inputs": [TENSOR], "outputs": [{"name": "FP32"}]}).encode()),
    _write_request(
        1, 1, json.dumps(BINARY).encode() + b"\1\0\0\0a", media_type=1, header_bytes=len(json.dumps(BINARY))
    ),
    _write_request(1, 2, b'{"instances": ["a"], "signature_name": "serving_default"}'),
    _write_request(2, 2, b'{"inputs": {"city": ["Bern"], "age": [3]}}'),
    _write_request(0, 0, b"--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nc\r\n--x--", media_type=2),
]
