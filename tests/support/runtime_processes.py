"""The runtime as it runs in a container: a process of its own, with its log and a client."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from time import monotonic

import httpx

from free_ports import find_free_port


class Runtime:
    """One runtime process and a client for it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.port = find_free_port()
        command = [sys.executable, "-m", "scoring_runtime"]
        environment = {**os.environ, "SCORING_PORT": str(self.port), "SCORING_THREADS": "1", **environment}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False)
        self.log: list[str] = []

    def wait_for_log(self, event: str) -> None:
        """Read the log until a line with this event; the process's end ends the wait."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(line)
            if json.loads(line)["event"] == event:
                return
        raise AssertionError(f"{event!r} never came: {self.log}")

    def follow_log(self) -> None:
        """Read the log until the process ends, as a node does: whoever writes more than a pipe holds would wait else."""
        stdout = self.process.stdout
        assert stdout is not None
        threading.Thread(target=lambda: self.log.extend(stdout), daemon=True).start()

    def wait_for_server(self) -> None:
        """Return when the server accepts connections."""
        self.wait_for(lambda: is_listening(self.port))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; the process's end and a minute end the wait."""
        deadline = monotonic() + 60
        while not condition():
            assert self.process.poll() is None, "the runtime has ended"
            assert monotonic() < deadline, "a minute has passed"

    def wait(self) -> int:
        """Return the exit status of the process once it has ended."""
        assert self.process.stdout is not None
        self.log += self.process.stdout.readlines()
        return self.process.wait(timeout=60)

    def end(self) -> None:
        """End the process, by force if it does not end within 20 s."""
        self.client.close()
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def is_listening(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
