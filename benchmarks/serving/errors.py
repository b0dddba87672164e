"""Errors of the benchmarks. BenchmarkError is the root: its message says what went wrong and what to do."""


class BenchmarkError(Exception):
    """A benchmark cannot go on."""


class EnvironmentFailed(BenchmarkError):
    """A virtual environment or the load generator cannot be made here."""


class ServerFailed(BenchmarkError):
    """A server ended, did not become ready in time, or gave a wrong answer."""


class LoadFailed(BenchmarkError):
    """The load generator ended with an error."""


class NothingToMeasure(BenchmarkError):
    """The machine lacks what the benchmark is about."""
