"""Object stores: s3, gs and Azure blobs (abfs), by obstore. One object, or all of a folder (prefix).

obstore speaks the three protocols and knows each cloud's credentials: keys, and workload identities by the environment.
"""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

import obstore
from obstore.exceptions import (
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, S3Store

from scoring_runtime.artifacts.sources import Access, RemoteFile
from scoring_runtime.artifacts.uris import ModelUri
from scoring_runtime.errors import (
    AccessDeniedError,
    ArtifactCorruptError,
    ArtifactNotFoundError,
    FetchAbandonedError,
    FetchFailedError,
    InvalidSettingsError,
    LoadError,
)
from scoring_runtime.redaction import cut_uris

# What has arrived is handed on at once: transfers.py looks at the time between chunks, and a server may trickle.
CHUNK_BYTES = 1
_TIMEOUTS = {"connect_timeout": "10s", "read_timeout": "60s"}
_LONGEST_REQUEST_SECONDS = 600
_STATUS = re.compile(r"status code: (\d{3})( [A-Za-z ]*)?")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
# Causes stand in the text's second half only, as the Rust libraries below print themselves.
_CAUSES = (
    (re.compile(r"InvalidCertificate\(\s*(\w+)"), "the server's certificate is not valid here, {}"),
    (re.compile(r'"(dns) error"'), "its host has no address"),
    (re.compile(r'message: "([\w ]{1,60})"'), "{}"),
    (re.compile(r"(TimedOut)"), "the server did not answer in time"),
)
# Where a pod's own identity is asked for.
_METADATA = ("169.254.", "metadata.google.internal")
_DENIED = (401, 403)
_MISSING = 404
_AZURE_KEYS = {
    "AZURE_STORAGE_ACCOUNT_KEY": "account_key",
    "AZURE_STORAGE_SAS_TOKEN": "sas_key",
    "AZURE_CLIENT_ID": "client_id",
    "AZURE_CLIENT_SECRET": "client_secret",
    "AZURE_TENANT_ID": "tenant_id",
}
_AWS_KEYS = {
    "AWS_ACCESS_KEY_ID": "access_key_id",
    "AWS_SECRET_ACCESS_KEY": "secret_access_key",
    "AWS_SESSION_TOKEN": "session_token",
    "AWS_REGION": "region",
}
_GOOGLE_KEYS = {"service-account.json": "service_account_key"}
_ENVIRONMENT_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_")
_PLACES = (
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_REQUEST_PAYER",
    "AZURE_AUTHORITY_HOST",
    "AZURE_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "GOOGLE_BASE_URL",
)
"""Variables of the clouds that tell where something is, or how it is asked for, and not who asks."""


class ObjectSource:
    """One object or one folder of an object store."""

    def __init__(self, uri: ModelUri, access: Access) -> None:
        self._uri = uri
        self._path = str(uri.path) if uri.path.parts else ""
        self._timeout_seconds = access.timeout_seconds
        try:
            self._store = _open_store(uri, access)
        except (BaseError, ValueError) as error:
            raise InvalidSettingsError(f"{uri} cannot be opened: {_shorten(error)}. Check its credentials.") from None

    def list_files(self) -> list[RemoteFile]:
        """Return the object, or the objects below the folder."""
        try:
            found = self._list() if self._uri.is_folder else [obstore.head(self._store, self._path)]
        except (BaseError, OSError, ValueError) as error:
            raise self._explain(error) from None
        files = [self._describe(meta) for meta in found if meta["path"] != self._path or not self._uri.is_folder]
        # Some tools mark a folder by an empty object of its name.
        folders = {str(parent) for file in files for parent in PurePosixPath(file.name).parents}
        files = [file for file in files if file.size_bytes or file.name not in folders]
        if not files:
            raise ArtifactNotFoundError(f"Nothing at {self._uri}: there is no such folder. Correct spec.model.uri.")
        return files

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """Yield the bytes of an object, as long as it is the one that was listed."""
        options: Any = {"range": (start, end) if end is not None else {"offset": start}}
        if file.version is not None:
            options["if_match"] = file.version
        try:
            yield from obstore.get(self._store, file.address, options=options).stream(CHUNK_BYTES)
        except (BaseError, OSError, ValueError) as error:
            raise self._explain(error) from None

    def abandon(self) -> None:
        """Do nothing: a listing ends by its own time, and a server that sends nothing is given up after a minute."""

    def _list(self) -> list[Any]:
        async def collect() -> list[Any]:
            return [meta async for page in obstore.list(self._store, self._path or None) for meta in page]

        # obstore limits each request only, and pages may be empty and have no end.
        return asyncio.run(asyncio.wait_for(collect(), self._timeout_seconds))

    def _describe(self, meta: Any) -> RemoteFile:  # noqa: ANN401  # obstore's type is not there when the program runs
        path = meta["path"]
        if not self._uri.is_folder:
            name = PurePosixPath(path).name
        elif self._path and not path.startswith(f"{self._path}/"):
            raise ArtifactCorruptError(f"{self._uri} lists {path[:200]!r}, which is not in it: its server is at fault.")
        else:
            name = path.removeprefix(f"{self._path}/") if self._path else path
        return RemoteFile(name, path, meta["size"], meta["e_tag"])

    def _explain(self, error: Exception) -> LoadError:
        """Return our own error; obstore's texts tell addresses with their queries, so only parts of them are taken over."""
        text = str(error)
        status = int(found[1]) if (found := _STATUS.search(text)) else None
        if any(place in text.splitlines()[0] for place in _METADATA if text):
            return FetchFailedError(
                f"There are no credentials for {self._uri}: set spec.model.credentials, or give the pod's ServiceAccount an "
                "identity of the cloud."
            )
        if isinstance(error, FileNotFoundError) or status == _MISSING:
            return ArtifactNotFoundError(f"Nothing at {self._uri}{_find_reason(error)}. Correct spec.model.uri.")
        if isinstance(error, PermissionDeniedError | UnauthenticatedError) or status in _DENIED:
            return AccessDeniedError(
                f"{self._uri} is refused{_find_reason(error)}. Check spec.model.credentials and what they may read."
            )
        if isinstance(error, PreconditionError):
            return FetchAbandonedError(f"{self._uri} changed while it was being fetched. It is fetched again.")
        if isinstance(error, InvalidPathError):
            return ArtifactCorruptError(f"{self._uri} has an object whose name is no path below it: rename it.")
        kind = FetchAbandonedError if "InvalidCertificate" in text else FetchFailedError
        return kind(
            f"{self._uri} could not be fetched{_find_reason(error) or f': {_shorten(error)}'}. Check the network, the "
            "endpoint and the credentials."
        )


def _open_store(uri: ModelUri, access: Access) -> S3Store | GCSStore | AzureStore:
    credentials, endpoint = access.credentials, access.endpoint
    seconds = max(1, round(min(access.timeout_seconds, _LONGEST_REQUEST_SECONDS)))
    client: Any = {
        **_TIMEOUTS,
        "timeout": f"{seconds}s",
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
    }
    if credentials.ca:
        client["root_certificate"] = credentials.ca
    # transfers.py tries again, for all schemes alike and within its bounds.
    common: Any = {"client_options": client, "retry_config": {"max_retries": 0}}
    keys = {"s3": _AWS_KEYS, "gs": _GOOGLE_KEYS}.get(uri.scheme, _AZURE_KEYS)
    config: Any = {name: value for key, name in keys.items() if (value := credentials.get(key))}
    if credentials.is_anonymous:
        config["skip_signature"] = True
    if config.keys() - {"region"}:
        with _hide_identity():
            return _make_store(uri, endpoint, config, common)
    return _make_store(uri, endpoint, config, common)


def _make_store(uri: ModelUri, endpoint: str | None, config: Any, common: Any) -> S3Store | GCSStore | AzureStore:  # noqa: ANN401  # obstore's own types
    if uri.scheme == "s3":
        return S3Store(uri.host, config=config | ({"endpoint": endpoint} if endpoint else {}), **common)
    if uri.scheme == "gs":
        return GCSStore(uri.host, config=config | ({"base_url": endpoint} if endpoint else {}), **common)
    account, _, domain = uri.host.partition(".")
    # `dfs` and `blob` are two doors to the same bytes; only in other clouds than the public one has it to be named.
    if endpoint is None and domain and not domain.endswith("core.windows.net"):
        endpoint = f"https://{account}.blob.{domain.partition('.')[2]}"
    config["account_name"] = account
    return AzureStore(uri.container, config=config | ({"endpoint": endpoint} if endpoint else {}), **common)


@contextmanager
def _hide_identity() -> Iterator[None]:
    """Take the pod's own identity out of the environment, which obstore reads too while it opens a store, and mixes with what it is given."""
    hidden = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_ENVIRONMENT_PREFIXES) and name not in _PLACES
    }
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


def _find_reason(error: Exception) -> str:
    """Return what a server answered, such as `: the server answered 404 Not Found, NoSuchBucket`, or why none did."""
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    said = [f"{status[1]}{(status[2] or '').rstrip()}"] if status else []
    if said or code:
        return f": the server answered {', '.join([*said, *([code[1]] if code else [])])}"
    causes = (words.format(found[1]) for pattern, words in _CAUSES if (found := pattern.search(text)))
    return next((f": {cause}" for cause in causes), "")


def _shorten(error: Exception) -> str:
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return cut_uris(line)[:300].rstrip(".")
