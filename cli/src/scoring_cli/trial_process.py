"""The process of a trial: `python -m scoring_cli.trial_process URI DIGEST FOLDER`. Its last line is JSON: code, None when all is well, and message."""

import json
import sys
from pathlib import Path

import click

from scoring_runtime.batching import Batcher
from scoring_runtime.errors import LoadError
from scoring_runtime.loading import load_model
from scoring_runtime.model import ModelSlot
from scoring_runtime.settings import Settings
from scoring_runtime.telemetry.logs import configure_logging


def try_model(uri: str, digest: str, folder: Path) -> dict[str, str | None]:
    """Return what to tell of an artifact that was loaded and asked its example."""
    settings = Settings(model_uri=uri, model_digest=digest, work_dir=folder, model_format=None)
    try:
        model = load_model(settings, ModelSlot(), Batcher(settings.max_queue, settings.max_wait_seconds))
    except LoadError as error:
        return {"code": error.code, "message": error.message}
    expected = ", and answers as expected" if model.manifest.expect else ""
    return {"code": None, "message": f"loads in {model.load_seconds:.1f} s, scores its example{expected}"}


if __name__ == "__main__":
    configure_logging("error")
    click.echo(json.dumps(try_model(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
