"""What can go wrong with a local cluster.

LocalClusterError
├── CommandFailed      a program that was run answered with another exit status than 0
├── MachineNotReady    the machine lacks something; lists all of it, with the remedy for each
├── ProgramUnavailable a program could neither be downloaded nor built
├── NotHealthy         a part was started, but does not answer
├── ImageNotBuilt      an image's inputs are missing or its build failed
├── StateInvalid       the remembered state of a cluster cannot be read
└── LeftBehind         `down` could not remove everything; lists what remains
"""

from collections.abc import Sequence


class LocalClusterError(Exception):
    """Base of all errors that the command line shows as one message instead of a traceback."""


class CommandFailed(LocalClusterError):
    """A program that was run answered with another exit status than 0."""

    def __init__(self, arguments: Sequence[str], status: int, output: str) -> None:
        self.arguments = tuple(arguments)
        self.status = status
        self.output = output
        tail = "\n".join(output.strip().splitlines()[-12:])
        super().__init__(f"`{' '.join(arguments)[:300]}` failed with exit status {status}:\n{tail}")


class MachineNotReady(LocalClusterError):
    """The machine lacks something that the cluster needs."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("this machine is not ready:\n" + "\n".join(f"  - {problem}" for problem in problems))


class ProgramUnavailable(LocalClusterError):
    """A program could neither be downloaded nor built."""


class NotHealthy(LocalClusterError):
    """A part of the cluster was started, but does not answer."""


class ImageNotBuilt(LocalClusterError):
    """An image's inputs are missing or its build failed."""


class StateInvalid(LocalClusterError):
    """The remembered state of a cluster cannot be read."""


class LeftBehind(LocalClusterError):
    """`down` could not remove everything."""

    def __init__(self, leftovers: Sequence[str]) -> None:
        self.leftovers = tuple(leftovers)
        super().__init__("left behind:\n" + "\n".join(f"  - {leftover}" for leftover in leftovers))
