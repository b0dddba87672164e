"""A server is started, asked once, and believed only when its answer is right."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.serving.errors import ServerFailed
from benchmarks.serving.servers import Call, Ports, Server, run_server

ECHO = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"Healthy")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""


def make_echo(folder: Path, expected: object) -> Server:
    def list_words(ports: Ports) -> list[str]:
        return [sys.executable, "-c", ECHO, str(ports[0])]

    return Server("echo", list_words, folder, Call("/", json.dumps([1]).encode(), expected))


def test_server_runs_until_it_is_left(tmp_path: Path) -> None:
    with run_server(make_echo(tmp_path, [1]), tmp_path / "log") as running:
        assert running.start_seconds > 0
        assert running.tree.find_members()
    assert not running.tree.find_members()


def test_wrong_answer_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ServerFailed, match=r"answered \[1\] instead of \[2\]"),
        run_server(make_echo(tmp_path, [2]), tmp_path / "log"),
    ):
        pass


def test_server_that_ends_is_an_error_with_its_log(tmp_path: Path) -> None:
    server = Server(
        "broken", lambda _ports: [sys.executable, "-c", "raise SystemExit('no model')"], tmp_path, Call("/", b"", 1)
    )
    with pytest.raises(ServerFailed, match="no model"), run_server(server, tmp_path / "log"):
        pass
