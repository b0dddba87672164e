"""Model URIs: what they point to, and how they are shown without credentials. Used by retrieval.py, sources and telemetry/logs.py."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from scoring_runtime.errors import InvalidSettingsError
from scoring_runtime.redaction import cut_uris

REMOTE_SCHEMES = ("https", "s3", "gs", "abfs", "abfss", "hf", "oci")
SCHEMES = ("file", "pvc", *REMOTE_SCHEMES)
FORMS = (
    "file:///path, pvc://claim/path, https://host/path, s3://bucket/path, gs://bucket/path, "
    "abfs://container@account.dfs.core.windows.net/path, hf://organisation/name or oci://registry/repository:tag"
)
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
MODEL_SUFFIXES: Mapping[str, str] = {
    ".skops": "sklearn",
    ".joblib": "sklearn",
    ".pkl": "sklearn",
    ".pickle": "sklearn",
    ".onnx": "onnx",
    ".ort": "onnx",
    ".keras": "keras",
}
"""Endings of files that are a model by themselves, which tell its inputs too, and their formats."""

MLMODEL = "MLmodel"
MODEL_MARKERS: Mapping[str, str] = {
    "saved_model.pb": "tensorflow",
    "saved_model.pbtxt": "tensorflow",
    MLMODEL: "mlflow",
}
"""Files by which a folder is a model of a format: TensorFlow's SavedModel, MLflow's."""

# Their paths are taken as they are written: a % in the name of an object is a %.
_LITERAL_SCHEMES = ("s3", "gs", "abfs", "abfss", "hf", "oci")


@dataclass(frozen=True)
class ModelUri:
    """A parsed model URI.

    `text` is the URI as given (it may hold credentials: never log it), `path` its path: absolute for file and https,
    else relative to `host`, which is the claim, bucket, account's host, organisation or registry. `container` is that
    of abfs only. `is_folder` tells of what has to be fetched whether it is a folder or one file.
    """

    text: str
    scheme: str
    path: PurePosixPath
    host: str = ""
    container: str = ""
    is_folder: bool = False

    def __str__(self) -> str:
        """Return the URI without user info, query and fragment: the only form for messages and logs."""
        return cut_uris(self.text)

    @property
    def is_remote(self) -> bool:
        """Tell whether the artifact has to be fetched."""
        return self.scheme in REMOTE_SCHEMES


def find_credentials(text: str) -> list[str]:
    """Return what of a URI is secret wherever it appears: its password, and the values of its query."""
    try:
        parts = urlsplit(text)
        return [*filter(None, [parts.password]), *(value for _, value in parse_qsl(parts.query))]
    except ValueError:
        return []


def is_archive_name(name: str) -> bool:
    """Tell by its name whether a file is unpacked."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def is_artifact_name(name: str) -> bool:
    """Tell by its name whether a file is an artifact by itself: an archive, or a model that needs no manifest."""
    return is_archive_name(name) or PurePosixPath(name).suffix.lower() in MODEL_SUFFIXES


def parse_uri(text: str) -> ModelUri:
    """Parse a model URI of one of SCHEMES. Raises InvalidSettingsError, naming SCORING_MODEL_URI, for any other.

    What ends as an archive or a model does is one file, else it is a folder; over https everything without a / at the end is a file. The
    names of repositories and the tags of registries are none of files, however they end.
    """
    uri = _parse(text)
    ends_with_slash = re.split("[?#]", text)[0].endswith("/")
    is_name = uri.scheme == "oci" or (uri.scheme == "hf" and len(uri.path.parts) == 1)
    is_file = not ends_with_slash and not is_name and (uri.scheme == "https" or is_artifact_name(uri.path.name))
    return replace(uri, is_folder=uri.is_remote and not is_file)


def _parse(text: str) -> ModelUri:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError as error:
        raise _invalid_uri("it is not a URI") from error
    if parts.scheme not in SCHEMES:
        raise _invalid_uri(f"its scheme is {parts.scheme or 'missing'!r}")
    path = PurePosixPath(parts.path if parts.scheme in _LITERAL_SCHEMES else unquote(parts.path))
    if ".." in path.parts or "\0" in str(path):
        raise _invalid_uri("its path leaves the folder with ..")
    if parts.scheme == "file":
        return _parse_file_uri(text, host, path)
    if not host:
        raise _invalid_uri("the claim is missing" if parts.scheme == "pvc" else "the host is missing")
    if parts.scheme == "https":
        return ModelUri(text, "https", path, parts.netloc.rpartition("@")[2])
    return _parse_relative(text, parts, PurePosixPath(*path.parts[1:]))


def _parse_file_uri(text: str, host: str | None, path: PurePosixPath) -> ModelUri:
    if host not in (None, "", "localhost") or not path.is_absolute():
        raise _invalid_uri("a file URI has three slashes and an absolute path")
    return ModelUri(text, "file", path)


def _parse_relative(text: str, parts: SplitResult, path: PurePosixPath) -> ModelUri:
    """Return the URI of a scheme whose path is relative to what stands in the place of the host."""
    scheme = parts.scheme
    user, _, host = parts.netloc.rpartition("@")
    if scheme in _LITERAL_SCHEMES and (parts.query or parts.fragment):
        raise _invalid_uri(f"{scheme} knows no ? and no #")
    if scheme in ("abfs", "abfss"):
        if not user or ":" in user:
            raise _invalid_uri("the container is missing before the @")
        return ModelUri(text, scheme, path, host, user)
    if user:
        raise _invalid_uri("it holds a user")
    if scheme not in ("pvc", "s3", "gs") and not path.parts:
        raise _invalid_uri("the repository is missing")
    return ModelUri(text, scheme, path, host)


def _invalid_uri(reason: str) -> InvalidSettingsError:
    return InvalidSettingsError(f"SCORING_MODEL_URI cannot be used: {reason}. Use {FORMS}.")
