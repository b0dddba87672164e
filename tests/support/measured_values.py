"""A number that tests set and autoscalers measure: a tiny server on loopback, in JSON and in Prometheus' words."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class MeasuredValue:
    """One number, at /value as JSON (`{"value": 3}`) and at /metrics for Prometheus."""

    def __init__(self, name: str) -> None:
        self.value = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                texts = {"/value": json.dumps({"value": owner.value}), "/metrics": f"{name} {owner.value}\n"}
                text = texts.get(self.path)
                self.send_response(404 if text is None else 200)
                self.send_header("Content-Type", "text/plain" if self.path == "/metrics" else "application/json")
                self.end_headers()
                self.wfile.write((text or "").encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
