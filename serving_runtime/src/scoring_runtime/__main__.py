"""Entry point of the runtime: serves the model; `fetch` only fetches it, `digest PATH` tells an artifact's digest, `keys` makes API keys."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from scoring_runtime.artifacts.uris import parse_uri
from scoring_runtime.errors import FetchFailedError, LoadError, ScorerFailedError
from scoring_runtime.settings import PREFIX, Settings, read_settings, read_termination_log
from scoring_runtime.telemetry.logs import configure_logging, configure_redaction
from scoring_runtime.telemetry.output import capture_output
from scoring_runtime.termination import report_failure

USAGE = "usage: python -m scoring_runtime [fetch | digest PATH | keys …]"

_logger = structlog.stdlib.get_logger(__name__)


def main() -> None:
    """Do what the arguments ask for. Exits with 0 after SIGTERM, with 1 when it cannot serve or fetch."""
    match sys.argv[1:]:
        case []:
            _run(_serve, ScorerFailedError)
        case ["fetch"]:
            _run(_fetch, FetchFailedError)
        case ["digest", path]:
            _print_digest(path)
        case ["keys", *arguments]:
            from scoring_runtime.keys_command import run  # noqa: PLC0415  # the server does without

            run(arguments)
        case _:
            sys.exit(USAGE)


def _run(work: Callable[[Settings], None], otherwise: type[LoadError]) -> None:
    """Do the work. `otherwise` is what an error is told as that nobody thought of: without a reason the operator has none."""
    configure_logging("info")
    capture_output()
    configure_redaction((), os.environ.get(f"{PREFIX}MODEL_URI"))
    try:
        settings = read_settings()
        configure_redaction(settings.redact_patterns, None)
        parse_uri(settings.model_uri)
        configure_logging(settings.log_level)
        work(settings)
    except LoadError as error:
        report_failure(read_termination_log(os.environ), error)
        sys.exit(1)
    except Exception as error:
        _logger.exception("failed unexpectedly")
        name = type(error).__name__
        message = f"The runtime ended by an error that it does not know, {name}. The container's log has the traceback."
        report_failure(read_termination_log(os.environ), otherwise(message))
        sys.exit(1)


def _serve(settings: Settings) -> None:
    from scoring_runtime.server import serve  # noqa: PLC0415  # not there, and not needed, where only is fetched

    serve(settings)


def _fetch(settings: Settings) -> None:
    from scoring_runtime.fetch_command import fetch  # noqa: PLC0415

    fetch(settings)


def _print_digest(path: str) -> None:
    from scoring_runtime.artifacts.digests import compute_digest  # noqa: PLC0415

    try:
        print(compute_digest(Path(path)))  # noqa: T201  # what the command is for
    except (LoadError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
