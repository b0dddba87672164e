"""Artifacts: find or fetch what the model's URI names, verify its digest and signature, and only then unpack it.

Sits between loading.py or fetch_command.py and transfers.py, digests.py, signatures.py, archives.py. Files of `file` and `pvc`
URIs are used in place: they are read for their digest and again to load them, so who can write them meanwhile is trusted as
the digest is.
"""

import errno
import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from scoring_runtime.artifacts.archives import unpack_archive
from scoring_runtime.artifacts.credentials import read_credentials
from scoring_runtime.artifacts.digests import PREFIX, hash_file, hash_files, render_listing
from scoring_runtime.artifacts.record import read_record
from scoring_runtime.artifacts.sources import Access, open_source
from scoring_runtime.artifacts.transfers import Bounds, fetch_files
from scoring_runtime.artifacts.uris import MODEL_MARKERS, ModelUri, is_archive_name, is_artifact_name, parse_uri
from scoring_runtime.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    DigestMismatchError,
    DigestRequiredError,
    DriverNotInstalledError,
    FetchFailedError,
    ManifestInvalidError,
    SignatureMissingError,
)
from scoring_runtime.redaction import redactor
from scoring_runtime.settings import Settings

# Loading one of these can run any code that its author put into it. TensorFlow calls its models programs: their operations
# read and write files.
CODE_RUNNING_SUFFIXES = (".joblib", ".pkl", ".pickle", ".pt", ".pth", ".pt2", ".ts", ".keras")
MAX_SIGNATURE_BYTES = 4096
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Artifact:
    """A verified artifact: `path` is its folder, `digest` and `size_bytes` are of the bytes as fetched."""

    path: Path
    digest: str
    size_bytes: int


@dataclass(frozen=True)
class _Found:
    """What was found or fetched, not verified yet: a file (`hashes` has one entry) or a folder."""

    path: Path
    hashes: Mapping[str, str]

    @property
    def signed(self) -> Path | bytes:
        """What a signature is over: the file, or the folder's listing."""
        return self.path if self.path.is_file() else render_listing(self.hashes)

    @property
    def sha256(self) -> str:
        if self.path.is_file():
            return self.hashes[self.path.name]
        return hashlib.sha256(render_listing(self.hashes)).hexdigest()

    @property
    def size_bytes(self) -> int:
        files = [self.path] if self.path.is_file() else [self.path / name for name in self.hashes]
        return sum(file.stat().st_size for file in files)


def fetch_artifact(settings: Settings) -> Artifact:
    """Find or fetch the artifact, verify its digest and signature, unpack it; or take what the fetching container has left.

    Raises LoadErrors: InvalidSettingsError, those of sources and transfers.py, DigestRequiredError, DigestMismatchError,
    SignatureMissingError, SignatureInvalidError, ArtifactCorruptError, ManifestInvalidError (a single file that is no model by itself).
    """
    uri = parse_uri(settings.model_uri)
    if settings.model_fetched:
        record = read_record(settings.work_dir, str(uri), settings.model_digest)
        return Artifact(Path(record.path), record.digest, record.bytes)
    require_digest(uri.path, settings.model_digest)
    try:
        found = _fetch(uri, settings) if uri.is_remote else _find(uri, settings)
        artifact = Artifact(found.path, PREFIX + found.sha256, found.size_bytes)
        _verify_digest(artifact, settings.model_digest)
        if settings.model_signature_key is not None:
            _verify_signature(uri, found, settings)
        return _open_folder(artifact, uri, settings)
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
    is_marked = isinstance(model, Path) and any((model / marker).exists() for marker in MODEL_MARKERS)
    return is_marked or model.suffix.lower() in CODE_RUNNING_SUFFIXES


def _find(uri: ModelUri, settings: Settings) -> _Found:
    path = Path(uri.path) if uri.scheme == "file" else settings.volume_dir / uri.path
    if not path.exists():
        raise ArtifactNotFoundError(f"Nothing at {uri} ({path} in the container). Correct spec.model.uri.")
    if path.is_dir():
        return _Found(path, hash_files(path))
    _check_file(path, settings)
    return _Found(path, {path.name: hash_file(path)})


def _fetch(uri: ModelUri, settings: Settings) -> _Found:
    if uri.scheme == "https":
        _check_https(uri, settings)
    folder = _make_empty_folder(settings.work_dir / "fetched")
    source = open_source(uri, _make_access(uri, settings))
    bounds = Bounds(settings.model_max_bytes, settings.fetch_timeout_seconds, settings.fetch_connections)
    files = fetch_files(source, folder, bounds)
    hashes = hash_files(folder)
    for file in files:
        if file.sha256 not in (None, hashes[file.name]):
            raise ArtifactCorruptError(
                f"{file.name} of {uri} is not what its server said that it is: its sha256 differs."
            )
    if len(files) == 1 and (not uri.is_folder or (uri.scheme == "oci" and is_artifact_name(files[0].name))):
        return _Found(folder / files[0].name, hashes)
    return _Found(folder, hashes)


def _make_access(uri: ModelUri, settings: Settings) -> Access:
    secret, folder = settings.model_secret_name, settings.credentials_dir
    credentials = read_credentials(uri.scheme, folder, secret, anonymous=settings.model_anonymous)
    # Should a library quote one of them in an error, no log and no message shows it.
    redactor.learn(credentials.secrets)
    return Access(settings.model_endpoint, credentials, settings.fetch_timeout_seconds)


def _check_https(uri: ModelUri, settings: Settings) -> None:
    if uri.is_folder or not uri.path.name:
        raise ArtifactNotFoundError(f"{uri} is a folder: over https give one file, such as a .tar.gz of the folder.")
    _check_file(uri.path, settings)


def _check_file(path: PurePath, settings: Settings) -> None:
    """Raise ManifestInvalidError for a file that cannot be served by itself, before it is fetched and read."""
    if not is_artifact_name(path.name):
        raise ManifestInvalidError(
            f"{settings.model_name} is a single file that does not say how it is served: give a folder or archive with a "
            "manifest.json that names task, format and model file, such as `scoring package` makes."
        )


def _verify_digest(artifact: Artifact, expected: str | None) -> None:
    if expected is not None and artifact.digest != expected:
        raise DigestMismatchError(
            f"The artifact's digest is {artifact.digest}, but {expected} was given. If the new artifact is meant, "
            "correct spec.model.digest; if not, find out who changed it."
        )


def _verify_signature(uri: ModelUri, found: _Found, settings: Settings) -> None:
    try:
        # Only here: the package for it is not in every image.
        from scoring_runtime.artifacts.signatures import parse_keys, verify_signature  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise DriverNotInstalledError(
            f"A signature needs the package {error.name!r}, which is not installed here: install scoring-runtime[fetch]."
        ) from error
    keys = parse_keys(settings.model_signature_key or "")
    if found.path.is_file() and not found.size_bytes:
        # Else the whole archive's signature would be told as somebody else's.
        raise ArtifactCorruptError(f"The artifact {found.path.name} is empty: put the archive there again.")
    signature = _find_signature(uri, settings)
    verify_signature(keys, signature, found.signed, bytes.fromhex(found.sha256))


def _find_signature(uri: ModelUri, settings: Settings) -> bytes:
    """Return the text of the signature: the setting's own, or what lies at its URI, by default the model's with .sig."""
    if settings.model_signature is not None:
        return settings.model_signature.encode()
    signature = replace(parse_uri(settings.model_signature_uri or _add_suffix(settings.model_uri)), is_folder=False)
    try:
        if not signature.is_remote:
            return _read_signature(signature, settings)
        folder = _make_empty_folder(settings.work_dir / "signature")
        source = open_source(signature, _make_access(uri, settings))
        files = fetch_files(source, folder, Bounds(MAX_SIGNATURE_BYTES, settings.fetch_timeout_seconds))
        if len(files) > 1:
            raise SignatureMissingError(
                f"{signature} has {len(files)} files: push the signature alone under a tag of its own."
            )
        return (folder / files[0].name).read_bytes()
    except ArtifactNotFoundError as error:
        raise SignatureMissingError(
            f"There is no signature at {signature}: put it there, or set spec.model.signature.uri or .value."
        ) from error


def _read_signature(uri: ModelUri, settings: Settings) -> bytes:
    path = Path(uri.path) if uri.scheme == "file" else settings.volume_dir / uri.path
    if not path.is_file():
        raise ArtifactNotFoundError(str(path))
    with path.open("rb") as file:
        return file.read(MAX_SIGNATURE_BYTES)


def _add_suffix(text: str) -> str:
    """Return the URI of the signature that belongs to a URI; a query, such as another host's access key, stays."""
    if text.startswith("oci://") and "@" in text:
        raise SignatureMissingError(
            "Beside an oci:// reference by digest no signature can lie: set spec.model.signature.uri or .value."
        )
    path, mark, query = text.partition("?")
    return f"{path.rstrip('/')}.sig{mark}{query}"


def _open_folder(artifact: Artifact, uri: ModelUri, settings: Settings) -> Artifact:
    """Return the artifact as a folder: an archive's content, or a single model in one of its own."""
    if not artifact.path.is_file():
        return artifact
    is_archive = is_archive_name(artifact.path.name)
    if uri.is_remote and not is_archive:
        return replace(artifact, path=artifact.path.parent)
    folder = _make_empty_folder(settings.work_dir / "unpacked")
    if not is_archive:
        (folder / artifact.path.name).symlink_to(artifact.path)
        return replace(artifact, path=folder)
    unpack_archive(artifact.path, folder, settings.model_max_bytes - artifact.size_bytes)
    if uri.is_remote:
        # What was fetched and unpacked would take its room twice.
        artifact.path.unlink()
    return replace(artifact, path=folder)


def _make_empty_folder(folder: Path) -> Path:
    # The work folder outlives a restart of the container in its pod.
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _explain_disk_error(uri: ModelUri, error: OSError, work_dir: Path) -> FetchFailedError:
    if error.errno in _DISK_FULL:
        return FetchFailedError(f"No space left in {work_dir} for {uri}: give the work volume a larger size limit.")
    where = f" {error.filename}" if error.filename else ""
    return FetchFailedError(f"{uri} could not be read or stored:{where} {error.strerror or type(error).__name__}.")
