"""Sources of artifacts: what lies at a URI, and its bytes. One module for each way to get at them; used by transfers.py.

A module is imported only when its scheme is asked for, since each needs a package of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from scoring_runtime.artifacts.credentials import Credentials
from scoring_runtime.artifacts.uris import ModelUri
from scoring_runtime.errors import DriverNotInstalledError


@dataclass(frozen=True)
class RemoteFile:
    """One file at a source.

    `name` is its path relative to the artifact, with /; `address` is what the source finds it by. `version` changes
    with its content, `sha256` (64 hexadecimal digits) is of it: None where the source does not tell. Of one whose size
    is not known, or that is not seekable, only the whole can be read.
    """

    name: str
    address: str
    size_bytes: int | None
    version: str | None = None
    sha256: str | None = None
    is_seekable: bool = True


class Source(Protocol):
    """An artifact that can be listed and read. Its methods are called from several threads."""

    def list_files(self) -> list[RemoteFile]:
        """Return the artifact's files. Raises ArtifactNotFoundError, AccessDeniedError, FetchFailedError."""

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """Yield a file's bytes from `start` up to, not including, `end` (None: to its end).

        Raises as list_files does, and FetchAbandonedError.
        """

    def abandon(self) -> None:
        """End what the methods are waiting for, with FetchFailedError or FetchAbandonedError; they are not called again."""


@dataclass(frozen=True)
class Access:
    """How a source is reached: its endpoint when it is not the scheme's own, the credentials, and how long a request may take."""

    endpoint: str | None = None
    credentials: Credentials = field(default_factory=Credentials)
    timeout_seconds: float = 600.0


def open_source(uri: ModelUri, access: Access) -> Source:
    """Return the source of a URI that has to be fetched. Raises DriverNotInstalledError, InvalidSettingsError."""
    try:
        return _import_source(uri, access)
    except ModuleNotFoundError as error:
        raise DriverNotInstalledError(
            f"{uri.scheme}:// needs the package {error.name!r}, which is not installed here: install "
            "scoring-runtime[fetch], or use the image of the variant fetch."
        ) from error


def _import_source(uri: ModelUri, access: Access) -> Source:
    if uri.scheme == "https":
        from scoring_runtime.artifacts.sources.web import WebSource  # noqa: PLC0415  # only what this scheme needs

        return WebSource(uri, access)
    if uri.scheme == "hf":
        from scoring_runtime.artifacts.sources.hub import HubSource  # noqa: PLC0415

        return HubSource(uri, access)
    if uri.scheme == "oci":
        from scoring_runtime.artifacts.sources.registry import RegistrySource  # noqa: PLC0415

        return RegistrySource(uri, access)
    from scoring_runtime.artifacts.sources.objects import ObjectSource  # noqa: PLC0415

    return ObjectSource(uri, access)
