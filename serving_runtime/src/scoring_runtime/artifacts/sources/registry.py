"""An artifact in an OCI registry: the layers that have a file's name, as ORAS and the ModelPack specification store them.

Home-made on the registry's HTTP API: the clients on PyPI read a blob as one stream, without ranges and bounds. Each layer
is checked against the digest that the manifest names, and the manifest against that of the URI where it has one.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from scoring_runtime.artifacts.sources import Access, RemoteFile
from scoring_runtime.artifacts.sources.http_client import HttpClient, find_origin, join_address, make_basic_header
from scoring_runtime.artifacts.sources.registry_logins import DOCKER_HUB, find_login
from scoring_runtime.artifacts.sources.web import find_ranges, read_range
from scoring_runtime.artifacts.uris import ModelUri
from scoring_runtime.errors import (
    AccessDeniedError,
    ArtifactCorruptError,
    ArtifactNotFoundError,
    FetchAbandonedError,
    FetchFailedError,
    InvalidSettingsError,
)

MANIFEST_TYPES = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
# Where the name of a layer's file stands: ORAS, ModelPack.
TITLES = ("org.opencontainers.image.title", "org.cncf.model.filepath")
_UNPACK = "io.deis.oras.content.unpack"
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_REFERENCE = re.compile(
    r"(?P<repository>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class RegistrySource:
    """The files of one manifest."""

    def __init__(self, uri: ModelUri, access: Access) -> None:
        found = _REFERENCE.fullmatch(str(uri.path))
        if found is None or not (found["tag"] or found["digest"]):
            raise InvalidSettingsError(f"{uri} names no tag: add :tag, or @sha256:digest.")
        self._uri = uri
        self._repository, self._digest = found["repository"], found["digest"]
        self._reference = found["digest"] or found["tag"]
        host = "registry-1.docker.io" if uri.host == DOCKER_HUB else uri.host
        # Plain HTTP on the machine itself only, as all clients of registries do it.
        is_local = urlsplit(f"//{host}").hostname in ("localhost", "127.0.0.1", "::1")
        self._base = f"{'http' if is_local and not access.credentials.ca else 'https'}://{host}/v2/{self._repository}"
        self._manifest = f"{self._base}/manifests/{self._reference}"
        self._client = HttpClient(str(uri), access.credentials)
        self._login = find_login(uri.host, found["repository"], access.credentials)
        self._authorization: str | None = None
        self._lock = threading.Lock()

    def list_files(self) -> list[RemoteFile]:
        """Return the files that the manifest names."""
        manifest = self._read_manifest()
        layers = manifest.get("layers")
        if not isinstance(layers, list):
            raise ArtifactNotFoundError(f"{self._uri} is no artifact of files. Push it with `oras push`.")
        files = [self._describe(layer) for layer in layers if isinstance(layer, dict)]
        if not files:
            raise ArtifactNotFoundError(f"{self._uri} has no files. Push it with `oras push`.")
        return find_ranges(self._client, files, self._make_headers())

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """Yield a file's bytes."""
        try:
            yield from read_range(self._client, file, self._make_headers(), (start, end))
        except AccessDeniedError:
            # Tokens of registries live for some minutes only.
            self._log_in()
            yield from read_range(self._client, file, self._make_headers(), (start, end))

    def abandon(self) -> None:
        """End all requests."""
        self._client.abandon()

    def _make_headers(self) -> dict[str, str]:
        return {"Authorization": self._authorization} if self._authorization else {}

    def _read_manifest(self) -> dict[str, Any]:
        self._log_in()
        body, _ = self._client.get_document(
            self._manifest, {**self._make_headers(), "Accept": ", ".join(MANIFEST_TYPES)}
        )
        if self._digest and f"sha256:{hashlib.sha256(body).hexdigest()}" != self._digest:
            raise ArtifactCorruptError(f"{self._uri}: the registry sent another manifest than the one of this digest.")
        try:
            manifest = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise FetchFailedError(f"{self._uri}: the registry's manifest is no JSON.") from error
        if not isinstance(manifest, dict):
            raise ArtifactCorruptError(f"{self._uri}: the registry's manifest is no object.")
        return manifest

    def _describe(self, layer: Mapping[str, Any]) -> RemoteFile:
        digest, size, annotations = layer.get("digest"), layer.get("size"), layer.get("annotations")
        annotations = annotations if isinstance(annotations, dict) else {}
        if not (isinstance(digest, str) and _DIGEST.fullmatch(digest) and isinstance(size, int) and size >= 0):
            raise ArtifactCorruptError(f"{self._uri}: a layer has no sha256 digest or no size.")
        name = next((annotations[title] for title in TITLES if isinstance(annotations.get(title), str)), None)
        if name is None or annotations.get(_UNPACK) == "true":
            raise ArtifactCorruptError(
                f"{self._uri} has a layer that is not a file with a name: push files or one archive, such as "
                "`oras push registry/faq:1 faq.tar`, not a folder and not a container image."
            )
        return RemoteFile(name, f"{self._base}/blobs/{digest}", size, None, digest.removeprefix("sha256:"))

    def _log_in(self) -> None:
        """Ask the registry how it wants to be asked, and get a token where it wants one."""
        with self._lock:
            response = self._client.get(self._manifest, {"Accept": ", ".join(MANIFEST_TYPES)}, expected=(200, 401, 404))
            challenge = response.headers.get("WWW-Authenticate", "")
            response.close()
            if response.status != HTTPStatus.UNAUTHORIZED:
                return
            kind, _, rest = challenge.partition(" ")
            if kind.lower() == "bearer":
                self._authorization = f"Bearer {self._fetch_token(dict(_CHALLENGE.findall(rest)))}"
            elif self._login is not None:
                self._authorization = make_basic_header(*self._login)
            else:
                raise AccessDeniedError(f"{self._uri} is refused without credentials: set spec.model.credentials.")

    def _fetch_token(self, challenge: Mapping[str, str]) -> str:
        realm = join_address("", challenge.get("realm", ""))
        if realm is None:
            raise FetchAbandonedError(f"{self._uri}: the registry names no address of its token service.")
        if urlsplit(realm).scheme != "https" and find_origin(realm)[:2] != find_origin(self._base)[:2]:
            raise AccessDeniedError(f"{self._uri}: the registry wants credentials to be sent without TLS.")
        scope = challenge.get("scope") or f"repository:{self._repository}:pull"
        query = {"scope": scope, **({"service": challenge["service"]} if "service" in challenge else {})}
        headers = {"Authorization": make_basic_header(*self._login)} if self._login else {}
        body, _ = self._client.get_document(f"{realm}?{urlencode(query)}", headers)
        try:
            answer = json.loads(body)
            return str(answer.get("token") or answer["access_token"])
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise FetchFailedError(f"{self._uri}: the registry's token service answered no token.") from error
