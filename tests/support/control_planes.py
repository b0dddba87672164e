"""The programs of a local cluster's control plane: to be killed, paused and mended."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from local_clusters import run_local_cluster


class ControlPlane:
    """The programs of one local cluster without a real node."""

    def __init__(self, name: str) -> None:
        """Take the name of a cluster that is healthy; its processes are looked up now, so that a fault comes at once."""
        self._name = name
        status = json.loads(run_local_cluster("status", "--name", name, "--output", "json"))
        self._pids: dict[str, int] = {part["name"]: part["pid"] for part in status["parts"]}

    def kill(self, program: str) -> None:
        """End a program at once."""
        os.kill(self._pids[program], signal.SIGKILL)

    @contextmanager
    def paused(self, program: str) -> Iterator[None]:
        """Stop a program without its knowledge for a while, as a machine or disk that stalls does."""
        pid = self._pids[program]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def mend(self) -> None:
        """Start what has ended, and wait until all answers."""
        run_local_cluster("up", "--name", self._name, "--node", "none")
