"""Entry point of the serving runtime: settings, logs, server; or, with `keys`, the command that makes API keys."""

import os
import sys

from scoring_runtime.errors import LoadError
from scoring_runtime.logs import configure_logging, configure_redaction
from scoring_runtime.output import capture_output
from scoring_runtime.server import serve
from scoring_runtime.settings import PREFIX, read_settings, read_termination_log
from scoring_runtime.termination import report_failure
from scoring_runtime.uris import parse_uri


def main() -> None:
    """Serve the model named by the environment. Exits with 0 after SIGTERM, with 1 when it cannot serve."""
    if sys.argv[1:2] == ["keys"]:
        from scoring_runtime.keys_command import run  # noqa: PLC0415  # the server does without

        run(sys.argv[2:])
    configure_logging("info")
    capture_output()
    configure_redaction((), os.environ.get(f"{PREFIX}MODEL_URI"))
    try:
        settings = read_settings()
        configure_redaction(settings.redact_patterns, None)
        parse_uri(settings.model_uri)
        configure_logging(settings.log_level)
        serve(settings)
    except LoadError as error:
        report_failure(read_termination_log(os.environ), error)
        sys.exit(1)


if __name__ == "__main__":
    main()
