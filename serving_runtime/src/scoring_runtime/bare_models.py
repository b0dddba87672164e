"""Models without a manifest.json: a single file whose name tells its format, or a folder as MLflow or TensorFlow saves it.

They tell their inputs themselves, and are served as `prediction`. Above manifest.py and mlmodel.py; for loading.py and the command line.
"""

from itertools import islice
from pathlib import Path

from scoring_runtime.artifacts.uris import MLMODEL, MODEL_MARKERS, MODEL_SUFFIXES
from scoring_runtime.manifest import FILE_NAME, Manifest, read_manifest


def find_manifest(folder: Path) -> Manifest:
    """Return the manifest of an artifact's folder; where there is none, what the model in it says.

    Raises ManifestInvalidError when neither says how to serve it, ModuleNotFoundError where reading MLflow's own needs a package.
    """
    if (folder / FILE_NAME).exists():
        return read_manifest(folder)
    if (folder / MLMODEL).is_file():
        # Only here: it needs a package that only the image for mlflow has.
        from scoring_runtime.mlmodel import make_manifest  # noqa: PLC0415

        return Manifest.model_validate(make_manifest(folder))
    if any((folder / name).is_file() for name in MODEL_MARKERS):
        return _describe("model", "tensorflow", ".")
    only = _find_only_file(folder)
    if only is not None and only.suffix.lower() in MODEL_SUFFIXES:
        return _describe(only.stem, MODEL_SUFFIXES[only.suffix.lower()], only.name)
    return read_manifest(folder)


def _find_only_file(folder: Path) -> Path | None:
    """Return the file that a folder holds and nothing else: beside others, only a manifest says what they are for."""
    entries = list(islice(folder.iterdir(), 2))
    return entries[0] if len(entries) == 1 and entries[0].is_file() else None


def _describe(name: str, format_name: str, model: str) -> Manifest:
    return Manifest(name=name, version="1", format=format_name, task="prediction", model=model)
