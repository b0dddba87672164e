"""The operator as a process of this machine, as a developer runs it from a shell."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import httpx

from free_ports import find_free_port
from kubectl import Kubectl
from scoring_operator.kinds import CHILDREN, HARDWARE_CLASS, SCORING_MODEL
from waiting import wait_for

RUNTIME_IMAGES = '{"sklearn": "localhost/runtime-sklearn:test", "torch": "localhost/runtime-torch:test", "fetch": "localhost/runtime-fetch:test"}'
REQUESTS = "apiserver_request_total{"
OPERATOR_WRITES = {
    *((kind.plural, "", verb) for kind in CHILDREN for verb in ("APPLY", "DELETE")),
    *((kind.plural, "status", "PATCH") for kind in (SCORING_MODEL, HARDWARE_CLASS)),
}
"""Resource, subresource and verb of all that the operator writes, and nobody else does, but events: those only follow a status."""


class OperatorProcess:
    """One operator, which can be killed and started again; with the namespace of a Lease it takes part in an election."""

    def __init__(
        self,
        kubectl: Kubectl,
        log: Path,
        lease_namespace: str | None = None,
        kubeconfig: Path | None = None,
        namespaces: Sequence[str] = (),
    ) -> None:
        """Take where it logs, the kubeconfig of whom it is (kubectl's user without one), and which namespaces it serves (all)."""
        self._kubeconfig = kubeconfig or kubectl.kubeconfig
        self._namespaces = namespaces
        self._log = log
        self._lease_namespace = lease_namespace
        self._port = find_free_port()
        self.metrics_port = find_free_port()
        self.variables: dict[str, str] = {}
        """Of its environment, beside those that every operator is given here."""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, resync_seconds: float = 3600.0) -> None:
        """Start the operator and wait until it is healthy."""
        self.launch(resync_seconds)
        self.wait_until_healthy()

    def launch(self, resync_seconds: float = 3600.0) -> None:
        """Start the operator."""
        environment = {
            **os.environ,
            **self.variables,
            "KUBECONFIG": str(self._kubeconfig),
            "SCORING_OPERATOR_RUNTIME_IMAGES": RUNTIME_IMAGES,
            "SCORING_OPERATOR_NAMESPACES": json.dumps(list(self._namespaces)),
            "SCORING_OPERATOR_HEALTH_PORT": str(self._port),
            "SCORING_OPERATOR_METRICS_PORT": str(self.metrics_port),
            "SCORING_OPERATOR_LOG_FORMAT": "plain",
            "SCORING_OPERATOR_RESYNC_SECONDS": str(resync_seconds),
            "SCORING_OPERATOR_LEADER_ELECTION": str(self._lease_namespace is not None).lower(),
            "SCORING_OPERATOR_NAMESPACE": self._lease_namespace or "",
        }
        program = Path(sys.executable).with_name("scoring-operator")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([program], env=environment, stdout=log, stderr=log)

    def wait_until_healthy(self) -> None:
        """Wait until it is healthy, which it says once it has listed everything."""
        wait_for(self.is_healthy, f"a healthy operator; its log is {self._log}")

    def is_healthy(self) -> bool:
        """Tell whether /healthz answers 200."""
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/healthz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """End it at once, as a node that fails does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as the kubelet does; return its exit code."""
        return self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Stop it without its knowledge, as a machine that stalls does."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, unaware of the time that has passed."""
        self._signal(signal.SIGCONT)

    def read_identity(self) -> str:
        """Return the name under which it stands for election."""
        identities: list[str] = re.findall(r"Candidate (\S+) for Lease", self.read_log())
        return identities[-1]

    def is_running(self) -> bool:
        """Tell whether the process has been started and not been ended by us."""
        return self._process is not None

    def is_alive(self) -> bool:
        """Tell whether the process has been started and has not ended, by itself or otherwise."""
        return self._process is not None and self._process.poll() is None

    def read_log(self) -> str:
        """Return all that it has logged, over all its lives."""
        return self._log.read_text()

    def _end(self, number: signal.Signals) -> int:
        code = self._signal(number).wait(timeout=30)
        self._process = None
        return code

    def _signal(self, number: signal.Signals) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the operator is not running")
        self._process.send_signal(number)
        return self._process


def count_requests(kubectl: Kubectl) -> Counter[tuple[str, str, str]]:
    """Return how many requests the API server has had so far by resource, subresource and verb, by its own metrics."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for line in kubectl("get", "--raw", "/metrics").splitlines():
        if line.startswith(REQUESTS):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            counts[labels["resource"], labels["subresource"], labels["verb"]] += int(line.rpartition(" ")[2])
    return counts


def count_writes(kubectl: Kubectl) -> int:
    """Return how many writes by the operator the API server has had so far."""
    counts = count_requests(kubectl)
    return sum(counts[request] for request in OPERATOR_WRITES)


def wait_until_quiet(kubectl: Kubectl, quiet_seconds: float = 3.0) -> int:
    """Wait until no write has come for some time; return the number of writes then."""
    seen: list[tuple[int, float]] = [(count_writes(kubectl), time.monotonic())]

    def look() -> bool:
        now = count_writes(kubectl)
        if now != seen[0][0]:
            seen[0] = (now, time.monotonic())
        return time.monotonic() - seen[0][1] > quiet_seconds

    wait_for(look, "the API server to have no more writes")
    return seen[0][0]
