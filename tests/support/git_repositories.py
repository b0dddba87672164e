"""A Git repository and what stands in for Flux's source-controller: its newest commit as an artifact on the loopback.

source-controller cannot be built from the Go modules that are to be had. What it writes is little: an archive of a commit, and its address,
digest and revision in the status of a GitRepository.
"""

import datetime
import gzip
import hashlib
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kubectl import Kubectl

ARCHIVES = "archives"


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


class GitSource:
    """A repository with one branch, served as a GitRepository of Flux's."""

    def __init__(self, kubectl: Kubectl, name: str, folder: Path) -> None:
        """Take kubectl for the GitRepository's namespace, its name, and an empty folder."""
        self.folder = folder / "repository"
        self._kubectl = kubectl
        self._name = name
        self._archives = folder / ARCHIVES
        self._archives.mkdir()
        self.folder.mkdir()
        self._git("init", "--quiet", "--initial-branch=main")
        handler = partial(QuietHandler, directory=str(self._archives))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def write(self, path: str, text: str) -> None:
        """Write a file of the work tree."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def commit(self, message: str) -> str:
        """Commit the work tree and publish it; return the revision as Flux writes it."""
        self._git("add", "--all")
        author = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
        self._git(*author, "commit", "--quiet", "--allow-empty", f"--message={message}")
        commit = self._git("rev-parse", "HEAD").decode().strip()
        content = gzip.compress(self._git("archive", "--format=tar", "HEAD"), mtime=0)
        (self._archives / f"{commit}.tar.gz").write_bytes(content)
        revision = f"main@sha1:{commit}"
        self._publish(f"{commit}.tar.gz", revision, content)
        return revision

    def _publish(self, file: str, revision: str, content: bytes) -> None:
        host, port = self._server.server_address[:2]
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        generation = self._kubectl.get("gitrepository", self._name)["metadata"]["generation"]
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "Succeeded",
            "message": f"stored artifact for {revision}",
            "lastTransitionTime": now,
            "observedGeneration": generation,
        }
        artifact = {
            "revision": revision,
            "path": file,
            "url": f"http://{host!s}:{port}/{file}",
            "lastUpdateTime": now,
            "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
            "size": len(content),
        }
        status = {"observedGeneration": generation, "artifact": artifact, "conditions": [condition]}
        self._kubectl.patch("gitrepository", self._name, {"status": status}, "--subresource=status")

    def _git(self, *words: str) -> bytes:
        done = subprocess.run(["git", "-C", str(self.folder), *words], capture_output=True, check=True, timeout=60)
        return done.stdout
