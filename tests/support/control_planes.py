"""The programs of a local cluster's control plane: to be killed, paused and mended."""

import json
import os
import signal

from local_clusters import run_local_cluster


class ControlPlane:
    """The programs of one local cluster without a real node."""

    def __init__(self, name: str) -> None:
        self._name = name

    def kill(self, program: str) -> None:
        """End a program at once."""
        os.kill(self._find(program), signal.SIGKILL)

    def pause(self, program: str) -> None:
        """Stop a program without its knowledge, as a machine or disk that stalls does."""
        os.kill(self._find(program), signal.SIGSTOP)

    def resume(self, program: str) -> None:
        """Let it go on."""
        os.kill(self._find(program), signal.SIGCONT)

    def mend(self) -> None:
        """Start what has ended, and wait until all answers."""
        run_local_cluster("up", "--name", self._name, "--node", "none")

    def _find(self, program: str) -> int:
        status = json.loads(run_local_cluster("status", "--name", self._name, "--output", "json"))
        pid: int = next(part["pid"] for part in status["parts"] if part["name"] == program)
        return pid
