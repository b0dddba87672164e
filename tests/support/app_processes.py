"""The sample app as it runs in a container: a process of its own, with folders as they are mounted into its pod."""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from app_visitors import PASSWORD, Mounted
from free_ports import find_free_port
from local_clusters import ROOT
from runtime_processes import is_listening
from samples.client.users import hash_password
from waiting import wait_for


class AppProcess:
    """One process of the app. Its address is that of localhost, where browsers keep cookies that are for HTTPS."""

    def __init__(self, mounted: Mounted, log: Path, **variables: str) -> None:
        port = find_free_port()
        self.address = f"http://localhost:{port}"
        self.log = log
        folders = {"SECRETS_DIR": mounted.secrets, "USERS_DIR": mounted.users, "ANSWERS_FILE": mounted.answers}
        own = {**{name: str(path) for name, path in folders.items()}, "PORT": str(port), "PUBLIC_URL": self.address}
        environment = {f"CLIENT_{name}": value for name, value in {**own, **variables}.items()}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "samples.client.server"],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.port = port

    def __enter__(self) -> Self:
        wait_for(lambda: self.process.poll() is not None or is_listening(self.port), "the app", 30)
        if self.process.poll() is not None:
            raise AssertionError(self.log.read_text())
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(20)


def mount(folder: Path, answers: Path, api_key: str) -> Mounted:
    """Return the folders of an app with one user, whose password is PASSWORD, and a key for its models."""
    mounted = Mounted(folder / "secrets", folder / "users", folder / "answers.json")
    mounted.secrets.mkdir(parents=True)
    mounted.answers.write_bytes(answers.read_bytes())
    mounted.users.mkdir()
    (mounted.secrets / "session-key").write_text("s" * 48)
    (mounted.secrets / "api-key").write_text(api_key)
    (mounted.users / "ann").write_text(hash_password(PASSWORD))
    return mounted
