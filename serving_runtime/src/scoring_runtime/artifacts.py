"""Artifacts: find or fetch what the model's URI names, verify its digest, and only then unpack it.

Sits between loading.py and download.py, archives.py. Files of `file` and `pvc` URIs are used in place: they are read for
their digest and again to load them, so who can write them meanwhile is trusted as the digest is.
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from scoring_runtime.archives import SUFFIXES, is_archive, unpack_archive
from scoring_runtime.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    DigestMismatchError,
    DigestRequiredError,
    FetchFailedError,
    ManifestInvalidError,
)
from scoring_runtime.settings import Settings
from scoring_runtime.uris import ModelUri, parse_uri

# Loading one of these can run any code that its author put into it. TensorFlow calls its models programs: their operations
# read and write files.
CODE_RUNNING_SUFFIXES = (".joblib", ".pkl", ".pickle", ".pt", ".pth", ".pt2", ".ts", ".keras")
# A folder with one of these is such a model: TensorFlow's SavedModel, MLflow's.
CODE_RUNNING_MARKERS = ("saved_model.pb", "saved_model.pbtxt", "MLmodel")
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Artifact:
    """A verified artifact: `path` is its folder, `digest` and `size_bytes` are of the bytes as fetched."""

    path: Path
    digest: str
    size_bytes: int


def fetch_artifact(settings: Settings) -> Artifact:
    """Find or fetch the artifact, verify its digest, unpack it.

    Raises InvalidSettingsError, ArtifactNotFoundError, FetchFailedError, DigestRequiredError, DigestMismatchError,
    ArtifactCorruptError, ManifestInvalidError (a single file).
    """
    uri = parse_uri(settings.model_uri)
    require_digest(uri.path, settings.model_digest)
    try:
        path = _find_path(uri, settings)
        if path.is_file():
            _check_archive(path, settings)
        artifact = _measure_artifact(path)
        _verify_digest(artifact, settings.model_digest)
        return _unpack_if_archive(artifact, settings.work_dir)
    except OSError as error:
        raise _explain_disk_error(uri, error, settings.work_dir) from error


def require_digest(model: PurePath, digest: str | None) -> None:
    """Raise DigestRequiredError when the file or folder can run code on loading and no digest was given."""
    if digest is None and _can_run_code(model):
        raise DigestRequiredError(
            f"{model.name} can run code when it is loaded, so it needs a digest: set spec.model.digest, or save "
            "the model as .skops, .safetensors or .onnx."
        )


def _can_run_code(model: PurePath) -> bool:
    is_marked = isinstance(model, Path) and any((model / marker).exists() for marker in CODE_RUNNING_MARKERS)
    return is_marked or model.suffix.lower() in CODE_RUNNING_SUFFIXES


def compute_digest(path: Path) -> str:
    """Return `sha256:<hex>` of a file's bytes, or of a folder's listing as `sha256sum` prints it, sorted by path."""
    if path.is_file():
        return f"sha256:{_hash_file(path)}"
    names = sorted(file.relative_to(path).as_posix() for file in _list_files(path))
    listing = "".join(f"{_hash_file(path / name)}  {name}\n" for name in names)
    return f"sha256:{hashlib.sha256(listing.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _find_path(uri: ModelUri, settings: Settings) -> Path:
    if uri.scheme == "https":
        _check_https(uri, settings)
        return _fetch_https(uri, settings.work_dir)
    path = Path(uri.path) if uri.scheme == "file" else settings.volume_dir / uri.path
    if not path.exists():
        raise ArtifactNotFoundError(f"Nothing at {uri} ({path} in the container). Correct spec.model.uri.")
    return path


def _check_https(uri: ModelUri, settings: Settings) -> None:
    if uri.text.split("?")[0].endswith("/") or not uri.path.name:
        raise ArtifactNotFoundError(f"{uri} is a folder: over https give one file, such as a .tar.gz of the folder.")
    _check_archive(uri.path, settings)


def _check_archive(path: PurePath, settings: Settings) -> None:
    """Raise ManifestInvalidError for any other file, before it is fetched and read."""
    if not is_archive(path):
        raise ManifestInvalidError(
            f"{settings.model_name} is a single file, which does not say its task: give a folder or archive with a "
            "manifest.json that names task, format and model file."
        )


def _fetch_https(uri: ModelUri, work_dir: Path) -> Path:
    folder = _make_empty_folder(work_dir / "fetched")
    # Only the suffix of a name from outside is kept.
    name = uri.path.name.lower()
    target = folder / ("artifact" + next(suffix for suffix in SUFFIXES if name.endswith(suffix)))
    from scoring_runtime.download import download_file  # noqa: PLC0415  # its HTTP client costs a quarter second to import

    download_file(uri, target)
    return target


def _measure_artifact(path: Path) -> Artifact:
    files = [path] if path.is_file() else list(_list_files(path))
    return Artifact(path, compute_digest(path), sum(file.stat().st_size for file in files))


def _verify_digest(artifact: Artifact, expected: str | None) -> None:
    if expected is not None and artifact.digest != expected:
        raise DigestMismatchError(
            f"The artifact's digest is {artifact.digest}, but {expected} was given. If the new artifact is meant, "
            "correct spec.model.digest; if not, find out who changed it."
        )


def _unpack_if_archive(artifact: Artifact, work_dir: Path) -> Artifact:
    if not artifact.path.is_file():
        return artifact
    folder = _make_empty_folder(work_dir / "unpacked")
    unpack_archive(artifact.path, folder)
    return replace(artifact, path=folder)


def _make_empty_folder(folder: Path) -> Path:
    # The work folder outlives a restart of the container in its pod.
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _list_files(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, onerror=_raise):
        for name in [*folders, *files]:
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                yield path
            elif not stat.S_ISDIR(mode):
                shown = path.relative_to(folder).as_posix()
                raise ArtifactCorruptError(
                    f"{shown!r} in the artifact is a link or a device: put files and folders there only."
                )


def _raise(error: OSError) -> None:
    raise error


def _explain_disk_error(uri: ModelUri, error: OSError, work_dir: Path) -> FetchFailedError:
    if error.errno in _DISK_FULL:
        return FetchFailedError(f"No space left in {work_dir} for {uri}: give the work volume a larger size limit.")
    where = f" {error.filename}" if error.filename else ""
    return FetchFailedError(f"{uri} could not be read or stored:{where} {error.strerror or type(error).__name__}.")
