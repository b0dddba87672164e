"""The command `fetch`: fetch, verify and unpack the artifact, leave a record of it, and end. What an init container runs.

So that the serving container holds neither credentials nor the packages that fetch. It imports no server.
"""

import os
import signal
from time import perf_counter

import structlog

from scoring_runtime.artifacts.record import FILE_NAME, Record, write_record
from scoring_runtime.artifacts.retrieval import fetch_artifact, require_digest
from scoring_runtime.artifacts.uris import parse_uri
from scoring_runtime.errors import FetchFailedError, OutOfMemoryError
from scoring_runtime.settings import Settings

_logger = structlog.stdlib.get_logger(__name__)
_EXIT_ON_SIGTERM = 143


def fetch(settings: Settings) -> None:
    """Bring the artifact into the work folder, verified. Raises LoadError."""
    # The first process of a container ignores what it has no handler for; a transfer's threads must not hold up its end.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(_EXIT_ON_SIGTERM))
    started = perf_counter()
    uri = parse_uri(settings.model_uri)
    _logger.info("the model is being fetched and verified", model=settings.model_name, uri=str(uri))
    try:
        (settings.work_dir / FILE_NAME).unlink(missing_ok=True)
        artifact = fetch_artifact(settings)
        require_digest(artifact.path, settings.model_digest)
        write_record(settings.work_dir, Record(str(uri), artifact.digest, artifact.size_bytes, str(artifact.path)))
    except MemoryError as error:
        raise OutOfMemoryError("Fetching takes more memory than the container may use: raise its limit.") from error
    except OSError as error:
        raise FetchFailedError(f"{settings.work_dir} cannot be written: {error.strerror}.") from error
    seconds = round(perf_counter() - started, 3)
    _logger.info(
        "fetched", model=settings.model_name, digest=artifact.digest, bytes=artifact.size_bytes, seconds=seconds
    )
