"""A repository of models on Hugging Face's hub, or on one that speaks its API: all files, or those of a folder in it.

The hub's own client would bring 24 MB and a cache of its own, and knows no bounds: two of the hub's documented routes do.
Everything is read at the commit that the revision named at the start.
"""

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from scoring_runtime.artifacts.sources import Access, RemoteFile
from scoring_runtime.artifacts.sources.http_client import HttpClient, check_endpoint, find_origin, join_address
from scoring_runtime.artifacts.sources.web import find_ranges, read_range
from scoring_runtime.artifacts.uris import ModelUri
from scoring_runtime.errors import ArtifactCorruptError, ArtifactNotFoundError, FetchFailedError, InvalidSettingsError

HUB = "https://huggingface.co"
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_OTHER_KINDS = ("datasets", "spaces")
MAX_PAGES = 1000


class HubSource:
    """The files of a repository, or of a folder in it."""

    def __init__(self, uri: ModelUri, access: Access) -> None:
        if uri.host in _OTHER_KINDS:
            raise InvalidSettingsError(f"{uri} names no model: only repositories of models are served.")
        self._uri = uri
        self._hub = check_endpoint(access.endpoint or HUB)
        self._client = HttpClient(str(uri), access.credentials)
        token = access.credentials.get("HF_TOKEN")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        name, _, revision = uri.path.parts[0].partition("@")
        self._repository = quote(f"{uri.host}/{name}")
        self._revision = unquote(revision) or "main"
        self._folder = "/".join(uri.path.parts[1:])

    def list_files(self) -> list[RemoteFile]:
        """Return the repository's files at the revision, or those of the folder, or the one file."""
        commit = self._find_commit()
        found = [entry for entry in self._list_tree(commit) if entry.get("type") == "file"]
        files = [self._describe(entry, commit) for entry in found if self._is_meant(entry["path"])]
        if not files:
            raise ArtifactNotFoundError(f"Nothing at {self._uri} (commit {commit[:12]}). Correct spec.model.uri.")
        return find_ranges(self._client, files, self._headers)

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """Yield a file's bytes."""
        yield from read_range(self._client, file, self._headers, (start, end))

    def abandon(self) -> None:
        """End all requests."""
        self._client.abandon()

    def _find_commit(self) -> str:
        revision = quote(self._revision, safe="")
        answer = self._get(f"{self._hub}/api/models/{self._repository}/revision/{revision}")[0]
        commit = answer.get("sha") if isinstance(answer, dict) else None
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise FetchFailedError(f"{self._uri}: the hub named no commit for the revision {self._revision}.")
        return commit

    def _list_tree(self, commit: str) -> Iterator[dict[str, Any]]:
        url: str | None = f"{self._hub}/api/models/{self._repository}/tree/{commit}?recursive=true"
        for _ in range(MAX_PAGES):
            if url is None:
                return
            entries, link = self._get(url)
            if not isinstance(entries, list):
                raise FetchFailedError(f"{self._uri}: the hub's list of files cannot be read.")
            yield from (entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("path"), str))
            found = _NEXT.search(link)
            following = join_address(url, found[1]) if found else None
            if found and (following is None or find_origin(following) != find_origin(url)):
                raise FetchFailedError(f"{self._uri}: the hub's list of files goes on at another host.")
            url = following

    def _get(self, url: str) -> tuple[Any, str]:
        body, headers = self._client.get_document(url, self._headers)
        try:
            return json.loads(body), headers.get("Link", "")
        except (ValueError, RecursionError) as error:
            raise FetchFailedError(f"{self._uri}: the hub's answer is no JSON.") from error

    def _is_meant(self, path: str) -> bool:
        if not self._uri.is_folder:
            return path == self._folder
        return not self._folder or path.startswith(f"{self._folder}/")

    def _describe(self, entry: dict[str, Any], commit: str) -> RemoteFile:
        path, size = entry["path"], entry.get("size")
        if not isinstance(size, int) or size < 0:
            raise ArtifactCorruptError(f"{self._uri}: the hub tells no size of {path[:200]!r}.")
        large = entry.get("lfs")
        sha256 = large["oid"] if isinstance(large, dict) and isinstance(large.get("oid"), str) else None
        address = f"{self._hub}/{self._repository}/resolve/{commit}/{quote(path)}"
        name = path.removeprefix(f"{self._folder}/") if self._folder else path
        return RemoteFile(name if self._uri.is_folder else PurePosixPath(path).name, address, size, None, sha256)
