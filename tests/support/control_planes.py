"""The programs of a local cluster's control plane: to be killed, paused, mended, and put back to an earlier state."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_clusters import run_local_cluster

WATCHERS = ("kube-controller-manager", "kube-scheduler", "kwok-controller")


class ControlPlane:
    """The programs of one local cluster without a real node."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of a cluster that is healthy; its processes are looked up now, so that a fault comes at once."""
        self._name = folder.name
        self._data = folder / "etcd"
        self._look_up()

    def _look_up(self) -> None:
        status = json.loads(run_local_cluster("status", "--name", self._name, "--output", "json"))
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

    def save(self, copy: Path) -> None:
        """Copy etcd's data as it is now; all programs run again afterwards."""
        self._stop_etcd()
        shutil.copytree(self._data, copy)
        self._start_etcd()

    def put_back(self, copy: Path) -> None:
        """Have etcd go on from a copy of its data, as after `etcdutl snapshot restore`; all programs run again afterwards.

        Kubernetes' own watch the API server too, and would be silent until its versions are reached again: they are restarted, as it says.
        """
        for program in WATCHERS:
            self.kill(program)
        self._stop_etcd()
        shutil.rmtree(self._data)
        shutil.copytree(copy, self._data)
        self._start_etcd()

    def _stop_etcd(self) -> None:
        for program in ("kube-apiserver", "etcd"):
            self.kill(program)

    def _start_etcd(self) -> None:
        self.mend()
        self._look_up()

    def mend(self) -> None:
        """Start what has ended, and wait until all answers."""
        run_local_cluster("up", "--name", self._name, "--node", "none")
