"""Operators that stand for election: who leads, and how long it takes until another does."""

import time

from kubectl import Kubectl, KubectlError, Manifest
from operator_processes import OperatorProcess
from waiting import wait_for

LEASE = "scoring-operator"
DURATION_SECONDS, RENEW_SECONDS, RETRY_SECONDS = 8, 2, 1
"""The operator's defaults."""

SLACK_SECONDS = 1.5
"""For a busy machine: what is measured includes the start of kubectl."""


class Candidates:
    """Operators that stand for the same Lease."""

    def __init__(self, kubectl: Kubectl, operators: list[OperatorProcess]) -> None:
        self.operators = operators
        self._kubectl = kubectl

    def read_lease(self) -> Manifest:
        """Return the Lease's spec."""
        spec: Manifest = self._kubectl.get("lease", LEASE)["spec"]
        return spec

    def patch_lease(self, **spec: object) -> None:
        """Change the Lease by hand."""
        self._kubectl.patch("lease", LEASE, {"spec": spec})

    def is_leading(self, operator: OperatorProcess) -> bool:
        """Tell whether an operator holds the Lease."""
        try:
            holder: str = self.read_lease()["holderIdentity"]
        except KubectlError:
            return False
        return holder == operator.read_identity()

    def tell_apart(self) -> tuple[OperatorProcess, OperatorProcess]:
        """Return the leader and the follower, of two."""
        wait_for(lambda: any(map(self.is_leading, self.operators)), "one of the operators to lead")
        leader, follower = sorted(self.operators, key=self.is_leading, reverse=True)
        return leader, follower

    def wait_until_leading(self, operator: OperatorProcess) -> float:
        """Wait until an operator holds the Lease; return the seconds that took."""
        start = time.monotonic()
        wait_for(lambda: self.is_leading(operator), "another operator to lead")
        return time.monotonic() - start

    def wait_for_roles(self) -> None:
        """Wait until all are healthy, and each has seen the Lease."""
        for operator in self.operators:
            operator.wait_until_healthy()
        wait_for(lambda: all(map(knows_its_role, self.operators)), "a leader and followers")


def knows_its_role(operator: OperatorProcess) -> bool:
    """Tell whether an operator has seen the Lease."""
    return any(words in operator.read_log() for words in ("Leading as", "Following: the Lease is held by"))
