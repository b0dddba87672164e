"""A trial of an artifact: loaded and asked its example by the runtime's own code, here, before it is put anywhere."""

import tempfile
from pathlib import Path

from scoring_cli.errors import InputInvalid
from scoring_runtime.batching import Batcher
from scoring_runtime.errors import DriverNotInstalledError, FormatNotInstalledError, LoadError
from scoring_runtime.loading import load_model
from scoring_runtime.logs import configure_logging
from scoring_runtime.model import ModelSlot
from scoring_runtime.settings import Settings


def try_artifact(archive: Path, digest: str) -> str:
    """Return a sentence about how the trial went. Raises InputInvalid, with the runtime's own words, when the model would not be served."""
    configure_logging("error")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            model_uri=archive.resolve().as_uri(), model_digest=digest, work_dir=Path(folder), model_format=None
        )
        try:
            model = load_model(settings, ModelSlot(), Batcher(settings.max_queue, settings.max_wait_seconds))
        except (FormatNotInstalledError, DriverNotInstalledError) as error:
            return f"not tried: {error.message}"
        except LoadError as error:
            raise InputInvalid(f"The runtime would not serve {archive.name}: {error.code}: {error.message}") from error
        expected = ", and answers as expected" if model.manifest.expect else ""
        return f"loads in {model.load_seconds:.1f} s, scores its example{expected}"
