"""The API server's verbs: lists, watches, server-side apply, status and events. The only module that asks for them.

Objects are plain dictionaries, and paths those of the few kinds in `kinds`, so that no discovery is needed.
"""

import datetime
from collections.abc import AsyncIterator, Callable, Sequence
from http import HTTPStatus
from typing import Any

import aiohttp

from scoring_operator.api import Manifest
from scoring_operator.connection import Access, Connection
from scoring_operator.errors import ClusterError, Conflict, Expired, NotFound
from scoring_operator.kinds import EVENT, MANAGER, Kind, select_managed

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
EVENT_MESSAGE_CHARACTERS = 1024
PAGE_OBJECTS = 100
"""Of a list: as many are in memory at once, with everything that will not be kept."""

NO_SUCH_VERSION = "1"
"""No object of ours can have it: etcd has written before them."""


class Cluster:
    """A connection to one API server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._request = connection.request

    @classmethod
    async def connect(cls, log_in: Callable[[], Access], hooks: Sequence[aiohttp.TraceConfig] = ()) -> "Cluster":
        """Connect by the access that `log_in` finds, with hooks into each request; raises ClusterError when it finds none."""
        return cls(Connection(log_in, hooks))

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def list(self, kind: Kind) -> AsyncIterator[tuple[list[Manifest], str]]:
        """Yield all objects of a kind that concern the operator, page by page, each with the resource version of the whole list."""
        query: dict[str, Any] = {"limit": str(PAGE_OBJECTS), **select(kind)}
        while True:
            found = await self._request("GET", find_path(kind, None), **query)
            metadata = found["metadata"]
            yield (
                [{"apiVersion": kind.api_version, "kind": kind.name, **body} for body in found["items"]],
                metadata["resourceVersion"],
            )
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    async def watch(self, kind: Kind, resource_version: str) -> AsyncIterator[tuple[str, Manifest]]:
        """Yield what happens to the objects of a kind that concern the operator since a version: ADDED, MODIFIED, DELETED or BOOKMARK, and the object.

        Ends when the API server ends it; raises Expired when the version is too old, and ClusterError when the watch breaks off.
        """
        async for event in self._connection.watch(
            find_path(kind, None), resourceVersion=resource_version, **select(kind)
        ):
            if event["type"] == "ERROR":
                status = event["object"]
                error = Expired if status.get("code") == HTTPStatus.GONE else ClusterError
                raise error(f"watch {kind.plural}: {status.get('message')}")
            yield event["type"], event["object"]

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Return one object, or None when there is none."""
        try:
            return await self._request("GET", find_path(kind, namespace, name))
        except NotFound:
            return None

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
        path = find_path(kind, metadata["namespace"], metadata["name"], "status")
        return await self._request("PATCH", path, patch, MERGE, fieldManager=MANAGER)

    async def post_event(self, body: Manifest, event_type: str, reason: str, message: str) -> None:
        """Record an event about an object; `event_type` is Normal or Warning."""
        metadata = body["metadata"]
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
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


def select(kind: Kind) -> dict[str, str]:
    """Return the parameters that select the objects of a kind that concern the operator."""
    selector = select_managed(kind)
    return {"labelSelector": selector} if selector else {}


def find_path(kind: Kind, namespace: str | None, *parts: str) -> str:
    """Return the URL path of a kind's objects, in all namespaces when `namespace` is None, or of one object or subresource of it."""
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    scope = (f"namespaces/{namespace}",) if namespace else ()
    return "/".join((root, *scope, kind.plural, *parts))
