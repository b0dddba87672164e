"""Model URIs: what they point to, and how they are shown without credentials. Used by artifacts.py."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, unquote, urlsplit

from scoring_runtime.errors import InvalidSettingsError
from scoring_runtime.redaction import cut_uris

SCHEMES = ("file", "pvc", "https")


@dataclass(frozen=True)
class ModelUri:
    """A parsed model URI.

    `text` is the URI as given (it may hold credentials: never log it), `path` its decoded path: absolute for file and
    https, relative to the claim for pvc.
    """

    text: str
    scheme: str
    path: PurePosixPath

    def __str__(self) -> str:
        """Return the URI without user info, query and fragment: the only form for messages and logs."""
        return cut_uris(self.text)


def find_credentials(text: str) -> list[str]:
    """Return what of a URI is secret wherever it appears: its password, and the values of its query."""
    try:
        parts = urlsplit(text)
        return [*filter(None, [parts.password]), *(value for _, value in parse_qsl(parts.query))]
    except ValueError:
        return []


def parse_uri(text: str) -> ModelUri:
    """Parse a model URI of one of SCHEMES. Raises InvalidSettingsError, naming SCORING_MODEL_URI, for any other."""
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError as error:
        raise _invalid_uri("it is not a URI") from error
    if parts.scheme not in SCHEMES:
        raise _invalid_uri(f"its scheme is {parts.scheme or 'missing'!r}")
    path = PurePosixPath(unquote(parts.path))
    if ".." in path.parts or "\0" in str(path):
        raise _invalid_uri("its path leaves the folder with ..")
    if parts.scheme == "file":
        return _parse_file_uri(text, host, path)
    if not host:
        raise _invalid_uri("the claim is missing" if parts.scheme == "pvc" else "the host is missing")
    relative = PurePosixPath(*path.parts[1:]) if parts.scheme == "pvc" else path
    return ModelUri(text, parts.scheme, relative)


def _parse_file_uri(text: str, host: str | None, path: PurePosixPath) -> ModelUri:
    if host not in (None, "", "localhost") or not path.is_absolute():
        raise _invalid_uri("a file URI has three slashes and an absolute path")
    return ModelUri(text, "file", path)


def _invalid_uri(reason: str) -> InvalidSettingsError:
    return InvalidSettingsError(
        f"SCORING_MODEL_URI cannot be used: {reason}. Use file:///path, pvc://claim/path or https://host/path."
    )
