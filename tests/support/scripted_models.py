"""A model's endpoint on the loopback that answers as a test says: for answers that a real one gives only when it is in trouble."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

POLL_SECONDS = 0.02
MATCHES = [[1, 1501, 0.94], [2, "unknown", 0.2]]


@dataclass
class ScriptedModel:
    """What the endpoint answers, and the requests it got. `status` 0 cuts the connection."""

    url: str
    status: int = 200
    body: object = field(default_factory=lambda: {"result": [MATCHES, "Computed in 1.5 ms"]})
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


class ModelServer(ThreadingHTTPServer):
    """The server of one model."""

    model: ScriptedModel


class Handler(BaseHTTPRequestHandler):
    """Answers as the model says."""

    server: ModelServer

    def do_POST(self) -> None:
        model = self.server.model
        body = self.rfile.read(int(self.headers["Content-Length"]))
        model.requests.append((self.path, dict(self.headers), body))
        if model.status == 0:
            self.close_connection = True
            return
        content = model.body if isinstance(model.body, bytes) else json.dumps(model.body).encode()
        self.send_response(model.status)
        for name, value in {"Content-Length": str(len(content)), **model.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def run_scripted_model() -> Iterator[ScriptedModel]:
    """Yield a model's endpoint at a free port."""
    with ModelServer(("127.0.0.1", 0), Handler) as server:
        server.model = ScriptedModel(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True)
        thread.start()
        yield server.model
        server.shutdown()
        thread.join()
