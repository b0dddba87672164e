"""Everything the command line raises on purpose, each with its exit status; docs/command-line.md lists them.

CommandError               1  a bug, or what fits nowhere below
├── InputInvalid           2  an option or a file is wrong; as click does for options
├── ClusterError           3  the API server refused, or did not answer
│   └── ObjectNotFound     3  there is no such object
├── ModelNotReady          4  the model does not work, and says why
├── WaitTimedOut           5  what was waited for has not come in time
└── EndpointError          6  the endpoint refused, or did not answer
"""

from typing import ClassVar

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


class CommandError(Exception):
    """Base of all errors here: the text says what is wrong and what to do."""

    exit_status: ClassVar[int] = 1


class InputInvalid(CommandError):
    """What the user gave cannot be used."""

    exit_status = 2


class ClusterError(CommandError):
    """The API server refused a request or did not answer."""

    exit_status = 3


class ObjectNotFound(ClusterError):
    """The cluster has no such object, or no such kind."""


class ModelNotReady(CommandError):
    """The model is not served."""

    exit_status = 4


class WaitTimedOut(CommandError):
    """What was waited for has not come in time."""

    exit_status = 5


class EndpointError(CommandError):
    """The model's endpoint refused a request or did not answer."""

    exit_status = 6
