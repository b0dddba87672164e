"""The API server's verbs: lists, watches, server-side apply, status and events. The only module that asks for them.

Objects are plain dictionaries, and paths those of the few kinds in `kinds`, so that no discovery is needed.
"""

import datetime
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import aiohttp

from scoring_operator.api import Manifest
from scoring_operator.clock import ClusterClock
from scoring_operator.connection import Access, Connection, find_error
from scoring_operator.errors import Conflict, NotFound
from scoring_operator.kinds import EVENT, MANAGER, Kind, Scope, find_path

METADATA_ONLY = "application/json;as={kind};g=meta.k8s.io;v=v1"
APPLY = {"Content-Type": "application/apply-patch+yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}
EVENT_MESSAGE_CHARACTERS = 1024
PAGE_OBJECTS = 100
"""Of a list: as many are in memory at once, with everything that will not be kept."""

NO_SUCH_VERSION = "1"
"""No object of ours can have it: etcd has written before them."""


class Cluster:
    """A connection to one API server."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._request = connection.request
        self._scope = scope

    @classmethod
    async def connect(
        cls,
        log_in: Callable[[], Access],
        scope: Scope,
        clock: ClusterClock,
        hooks: Sequence[aiohttp.TraceConfig] = (),
    ) -> "Cluster":
        """Connect by the access that `log_in` finds; raises ClusterError when it finds none.

        scope: what of the cluster is listed and watched.
        clock: what is told the API server's time, and tells it.
        hooks: into each request, such as those of `build_fence`.
        """
        return cls(Connection(log_in, clock, hooks), scope)

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    def now(self) -> datetime.datetime:
        """Return the time: the API server's, where this machine's is another."""
        return self._connection.clock.now()

    async def find_served(self, kinds: Iterable[Kind]) -> frozenset[Kind]:
        """Return those of the kinds that the API server serves now."""
        return frozenset([kind for kind in kinds if await self._is_served(kind)])

    async def _is_served(self, kind: Kind) -> bool:
        try:
            found = await self._request("GET", f"/apis/{kind.api_version}")
        except NotFound:
            return False
        return any(resource["name"] == kind.plural for resource in found["resources"])

    async def list(self, kind: Kind, namespace: str | None) -> AsyncIterator[tuple[list[Manifest], str]]:
        """Yield all objects of a kind that concern the operator, page by page, each with the resource version of the whole list.

        namespace: None for all.
        """
        query: dict[str, Any] = {"limit": str(PAGE_OBJECTS), **self._select(kind)}
        while True:
            headers = find_headers(kind, "PartialObjectMetadataList")
            found = await self._request("GET", find_path(kind, namespace), headers=headers, **query)
            metadata = found["metadata"]
            yield (
                [{**body, "apiVersion": kind.api_version, "kind": kind.name} for body in found["items"]],
                metadata["resourceVersion"],
            )
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    async def find_version(self, kind: Kind, namespace: str | None) -> int:
        """Return the resource version that a list of a kind would have now."""
        query: dict[str, Any] = {"limit": "1", **self._select(kind)}
        headers = find_headers(kind, "PartialObjectMetadataList")
        found = await self._request("GET", find_path(kind, namespace), headers=headers, **query)
        return int(found["metadata"]["resourceVersion"])

    async def watch(
        self, kind: Kind, namespace: str | None, resource_version: str
    ) -> AsyncIterator[tuple[str, Manifest]]:
        """Yield what happens to the objects of a kind that concern the operator since a version: ADDED, MODIFIED, DELETED or BOOKMARK, and the object.

        Ends when the API server ends it; raises Expired when the version is too old, and ClusterError when the watch breaks off.
        """
        query = {"resourceVersion": resource_version, **self._select(kind)}
        headers = find_headers(kind, "PartialObjectMetadata")
        async for event in self._connection.watch(find_path(kind, namespace), headers, **query):
            if event["type"] == "ERROR":
                status = event["object"]
                message = str(status.get("message"))
                raise find_error(status.get("code", 0), message)(f"watch {kind.plural}: {message}")
            yield event["type"], event["object"]

    def _select(self, kind: Kind) -> dict[str, str]:
        """Return the parameters that select the objects of a kind that concern the operator."""
        selector = self._scope.find_selector(kind)
        return {"labelSelector": selector} if selector else {}

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Return one object, or None when there is none."""
        try:
            return await self._request("GET", find_path(kind, namespace, name))
        except NotFound:
            return None

    async def create(self, kind: Kind, body: Manifest) -> Manifest:
        """Create an object and return it; raises Conflict when there is one of its name."""
        return await self._request("POST", find_path(kind, body["metadata"].get("namespace")), body)

    async def update(self, kind: Kind, body: Manifest) -> Manifest:
        """Replace an object and return it; raises Conflict when it is not the version `body` any more."""
        path = find_path(kind, body["metadata"].get("namespace"), body["metadata"]["name"])
        return await self._request("PUT", path, body)

    async def apply(self, kind: Kind, body: Manifest, manager: str = MANAGER) -> Manifest:
        """Server-side apply an object, taking fields over from others; return it as it is now."""
        path = find_path(kind, body["metadata"].get("namespace"), body["metadata"]["name"])
        return await self._request("PATCH", path, body, APPLY, fieldManager=manager, force="true")

    async def apply_new(self, kind: Kind, body: Manifest) -> Manifest:
        """Server-side apply an object that must not exist yet; raises Conflict, and changes nothing, when there is one of its name.

        Server-side apply creates whatever version is named, but changes an object only if it is of that version.
        """
        metadata = {**body["metadata"], "resourceVersion": NO_SUCH_VERSION}
        return await self.apply(kind, {**body, "metadata": metadata})

    async def delete(self, kind: Kind, body: Manifest) -> None:
        """Delete this very object (not a later one of the same name); one that is gone already is fine."""
        path = find_path(kind, body["metadata"]["namespace"], body["metadata"]["name"])
        preconditions = {"preconditions": {"uid": body["metadata"]["uid"]}}
        try:
            await self._request("DELETE", path, preconditions)
        except (NotFound, Conflict):
            return

    async def write_status(self, kind: Kind, body: Manifest, status: Manifest) -> Manifest:
        """Replace the status of an object; raises Conflict when it is not the version `body` any more, so that no later one is judged by it."""
        metadata = body["metadata"]
        # A merge patch keeps what it does not name, so what is to go must be named as null.
        gone = dict.fromkeys(body.get("status", {}).keys() - status.keys())
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": {**status, **gone}}
        path = find_path(kind, metadata.get("namespace"), metadata["name"], "status")
        return await self._request("PATCH", path, patch, MERGE, fieldManager=MANAGER)

    async def post_event(self, body: Manifest, event_type: str, reason: str, message: str) -> None:
        """Record an event about an object; `event_type` is Normal or Warning."""
        metadata = body["metadata"]
        now = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.name,
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": body["apiVersion"],
                "kind": body["kind"],
                **{name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion")},
            },
            "type": event_type,
            "reason": reason,
            "message": message[:EVENT_MESSAGE_CHARACTERS],
            "source": {"component": MANAGER},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self._request("POST", find_path(EVENT, metadata["namespace"]), event)


def find_headers(kind: Kind, reduced: str) -> dict[str, str]:
    """Return the headers to ask with: of a kind of which nothing but metadata is read, for `reduced`, which is nothing else."""
    return {"Accept": METADATA_ONLY.format(kind=reduced)} if kind.is_metadata_only else {}


def build_fence(check_may_write: Callable[[], None]) -> aiohttp.TraceConfig:
    """Return hooks for a connection that let no write pass unless the check does.

    The check is called just before a write is sent; what it raises keeps the write from being sent.
    They run when a request has its connection and its bytes are about to be sent: whatever has held it up, a process that was paused
    included, lies before that. What the second hook raises breaks off the connection.
    """

    async def check(
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        request: aiohttp.TraceRequestHeadersSentParams | aiohttp.TraceRequestChunkSentParams,
    ) -> None:
        if request.method != "GET":
            check_may_write()

    fence = aiohttp.TraceConfig()
    fence.on_request_headers_sent.append(check)
    fence.on_request_chunk_sent.append(check)
    return fence
