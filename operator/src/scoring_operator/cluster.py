"""The API server: lists, server-side apply, status and events. The only module that talks to it, beside kopf's watches.

Uses the official client's asyncio flavour with plain dictionaries and the paths of the few kinds in `kinds`, so that no discovery is needed.
"""

import datetime
import json
from collections.abc import AsyncIterator, Callable, Iterable
from types import SimpleNamespace
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from scoring_operator.api import Manifest
from scoring_operator.errors import ClusterError, Conflict, NotFound, Rejected
from scoring_operator.kinds import EVENT, MANAGER, Kind, Scope

REQUEST_TIMEOUT_SECONDS = 30.0
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
LIST_LIMIT = 500
"""Objects asked for at once: a part is parsed and cut down before the next comes, which keeps the memory small."""

EVENT_MESSAGE_CHARACTERS = 1024


class Cluster:
    """A connection to one API server."""

    def __init__(self, api: client.ApiClient, scope: Scope) -> None:
        self._api = api
        self._client = DynamicClient(api)
        self._scope = scope

    @classmethod
    async def connect(cls, scope: Scope, check_may_write: Callable[[], None] | None = None) -> "Cluster":
        """Connect with the pod's service account, or with the kubeconfig when not in a pod.

        check_may_write: called just before a write is sent; what it raises keeps the write from being sent.
        Raises ClusterError when there is neither.
        """
        try:
            config.load_incluster_config()
        except config.ConfigException:
            try:
                await config.load_kube_config()
            except config.ConfigException as error:
                raise ClusterError(f"neither in a pod nor with a usable kubeconfig: {error}") from error
        configuration = client.Configuration.get_default_copy()
        if check_may_write is not None:
            configuration.trace_configs = [build_fence(check_may_write)]
        return cls(client.ApiClient(configuration), scope)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def find_served(self, kinds: Iterable[Kind]) -> frozenset[Kind]:
        """Return those of the kinds that the API server serves now."""
        served = [kind for kind in kinds if await self._is_served(kind)]
        return frozenset(served)

    async def _is_served(self, kind: Kind) -> bool:
        try:
            found = await self._request("get", f"/apis/{kind.api_version}")
        except NotFound:
            return False
        return any(resource["name"] == kind.plural for resource in found["resources"])

    async def list(self, kind: Kind) -> AsyncIterator[tuple[list[Manifest], str]]:
        """Yield all objects of a kind that concern the operator, a part at a time, each with the resource version of its list."""
        selector = self._scope.find_selector(kind)
        for namespace in self._scope.find_namespaces(kind):
            rest: str | None = None
            while rest != "":
                found = await self._request(
                    "get",
                    find_path(kind, namespace),
                    label_selector=selector,
                    query_params=[("limit", LIST_LIMIT), *([("continue", rest)] if rest else [])],
                )
                bodies = [{"apiVersion": kind.api_version, "kind": kind.name, **body} for body in found["items"]]
                yield bodies, found["metadata"]["resourceVersion"]
                rest = found["metadata"].get("continue", "")

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Return one object, or None when there is none."""
        try:
            return await self._request("get", find_path(kind, namespace, name))
        except NotFound:
            return None

    async def create(self, kind: Kind, body: Manifest) -> Manifest:
        """Create an object and return it; raises Conflict when there is one of its name."""
        return await self._request("post", find_path(kind, body["metadata"]["namespace"]), body=body)

    async def update(self, kind: Kind, body: Manifest) -> Manifest:
        """Replace an object and return it; raises Conflict when it is not the version `body` any more."""
        path = find_path(kind, body["metadata"]["namespace"], body["metadata"]["name"])
        return await self._request("put", path, body=body)

    async def apply(self, kind: Kind, body: Manifest, manager: str = MANAGER) -> Manifest:
        """Server-side apply an object, taking fields over from others; return it as it is now."""
        path = find_path(kind, body["metadata"].get("namespace"), body["metadata"]["name"])
        return await self._request(
            "patch", path, body=body, content_type=APPLY, field_manager=manager, force_conflicts=True
        )

    async def delete(self, kind: Kind, body: Manifest) -> None:
        """Delete this very object (not a later one of the same name); one that is gone already is fine."""
        path = find_path(kind, body["metadata"]["namespace"], body["metadata"]["name"])
        preconditions = {"preconditions": {"uid": body["metadata"]["uid"]}}
        try:
            await self._request("delete", path, body=preconditions)
        except (NotFound, Conflict):
            return

    async def write_status(self, kind: Kind, body: Manifest, status: Manifest) -> Manifest:
        """Replace the status of an object; raises Conflict when it is not the version `body` any more, so that no later one is judged by it."""
        metadata = body["metadata"]
        # A merge patch keeps what it does not name, so what is to go must be named as null.
        gone = dict.fromkeys(body.get("status", {}).keys() - status.keys())
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": {**status, **gone}}
        path = find_path(kind, metadata.get("namespace"), metadata["name"], "status")
        return await self._request("patch", path, body=patch, content_type=MERGE, field_manager=MANAGER)

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
        await self._request("post", find_path(EVENT, metadata["namespace"]), body=event)

    async def _request(self, method: str, path: str, **parameters: Any) -> Manifest:
        try:
            response = await self._client.request(
                method, path, serialize=False, _request_timeout=REQUEST_TIMEOUT_SECONDS, **parameters
            )
            answer: Manifest = await response.json()
        except DynamicApiError as error:
            raise translate(method, path, error) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterError(f"{method} {path}: no answer: {error or type(error).__name__}") from error
        return answer


def build_fence(check_may_write: Callable[[], None]) -> aiohttp.TraceConfig:
    """Return hooks for a connection that let no write pass unless the check does.

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


def translate(method: str, path: str, error: DynamicApiError) -> ClusterError:
    """Return the operator's error for an answer of the API server, with the server's own words."""
    kinds: dict[int, type[ClusterError]] = {400: Rejected, 403: Rejected, 404: NotFound, 409: Conflict, 422: Rejected}
    try:
        message = json.loads(error.body or "")["message"]
    except (ValueError, KeyError, TypeError):
        message = error.reason
    return kinds.get(error.status, ClusterError)(f"{method} {path}: {error.status}: {message}")


def find_path(kind: Kind, namespace: str | None, *parts: str) -> str:
    """Return the URL path of a kind's objects, in all namespaces when `namespace` is None, or of one object or subresource of it."""
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    scope = (f"namespaces/{namespace}",) if namespace else ()
    return "/".join((root, *scope, kind.plural, *parts))
