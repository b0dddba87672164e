"""The story of a start: fetch, verify, load, warm up, ready. Runs on its own thread while the server answers probes."""

from pathlib import Path
from time import perf_counter

import orjson
import structlog

from scoring_runtime.artifacts.retrieval import fetch_artifact, require_digest
from scoring_runtime.bare_models import find_manifest
from scoring_runtime.batching import Batcher, BatchLimits
from scoring_runtime.errors import (
    LoadError,
    ManifestInvalidError,
    ModelInvalidError,
    OutOfMemoryError,
    OverloadedError,
    RequestError,
    ScorerFailedError,
    ScoringFailedError,
)
from scoring_runtime.expectation import check_answer
from scoring_runtime.manifest import Manifest, find_model
from scoring_runtime.model import ModelSlot, ServedModel
from scoring_runtime.redaction import cut_uris
from scoring_runtime.scorers import ModelSource, Scorer, create_scorer, explain_missing_package
from scoring_runtime.settings import Settings
from scoring_runtime.tasks import Task, TaskLimits, create_task

_logger = structlog.stdlib.get_logger(__name__)


def load_model(settings: Settings, slot: ModelSlot, batcher: Batcher) -> ServedModel:
    """Fetch, verify, load and warm up the model, and put it into the slot. Raises LoadError."""
    try:
        return _load_model(settings, slot, batcher)
    except MemoryError as error:
        raise OutOfMemoryError("The model does not fit into memory: raise the memory limit.") from error


def _load_model(settings: Settings, slot: ModelSlot, batcher: Batcher) -> ServedModel:
    started = perf_counter()
    _report(slot, "the model is being fetched and verified", settings)
    artifact = fetch_artifact(settings)
    _report(slot, "the model is being loaded", settings)
    manifest = _find_manifest(artifact.path)
    format_name = _choose_format(manifest, settings)
    scorer = create_scorer(format_name)
    limits = TaskLimits(settings.max_image_pixels, settings.threads)
    task = create_task(manifest, format_name, artifact.path, limits)
    _load_scorer(scorer, manifest, artifact.path, task, settings)
    _report(slot, "the model is being warmed up", settings)
    _warm_up(task, scorer, batcher, manifest)
    batcher.limits = _choose_limits(task, settings)
    seconds = perf_counter() - started
    model = ServedModel(manifest, format_name, task, artifact.digest, artifact.size_bytes, seconds, scorer.report)
    batcher.forget_times()
    slot.fill(model)
    _logger.info("ready", model=settings.model_name, digest=model.digest, seconds=round(seconds, 3))
    return model


def _report(slot: ModelSlot, stage: str, settings: Settings) -> None:
    slot.report_stage(stage)
    _logger.info(stage, model=settings.model_name, uri=cut_uris(settings.model_uri))


def _find_manifest(folder: Path) -> Manifest:
    try:
        return find_manifest(folder)
    except ModuleNotFoundError as error:
        raise explain_missing_package(error, "mlflow") from error


def _choose_format(manifest: Manifest, settings: Settings) -> str:
    chosen = settings.model_format or manifest.format
    if chosen is None:
        raise ManifestInvalidError(
            "manifest.json: format is missing and SCORING_MODEL_FORMAT is not set: set one of them."
        )
    return chosen


def _choose_limits(task: Task, settings: Settings) -> BatchLimits:
    """The settings' batching, else the task's own; never more than one item where the model takes one at a time."""
    size = settings.batch_max_size or task.max_batch_size
    return BatchLimits(size if task.signature.is_batched() else 1, settings.batch_max_delay_milliseconds / 1000)


def _load_scorer(scorer: Scorer, manifest: Manifest, folder: Path, task: Task, settings: Settings) -> None:
    path = find_model(folder, manifest.model)
    require_digest(path, settings.model_digest)
    source = ModelSource(
        path,
        folder,
        manifest.options,
        signature=manifest.signature,
        trusted_types=task.trusted_types,
        classes=task.classes,
        threads=settings.threads,
    )
    try:
        scorer.load(source)
    except (LoadError, MemoryError):
        raise
    except Exception as error:
        # A model file can fail in as many ways as its libraries have; all of them are the file's.
        raise ModelInvalidError(f"{manifest.model} cannot be loaded: {_describe(error)}") from error


def _warm_up(task: Task, scorer: Scorer, batcher: Batcher, manifest: Manifest) -> None:
    try:
        task.attach(scorer)
        answer = task.write(batcher.score(task, task.read(task.make_example())))
        # As /score does it: what cannot be written would fail with the first request.
        orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    except (ScoringFailedError, OverloadedError) as error:
        reason = error.message if error.__cause__ is None else _describe(error.__cause__)
        raise ScorerFailedError(f"The model could not score its example: {reason}") from error
    except RequestError as error:
        raise ManifestInvalidError(f"manifest.json: example is not a request that scores: {error.message}") from error
    except (LoadError, MemoryError):
        raise
    except Exception as error:
        raise ScorerFailedError(f"The model could not score its example: {_describe(error)}") from error
    if manifest.expect is not None:
        check_answer(answer, manifest.expect)


def _describe(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
