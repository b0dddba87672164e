"""The cluster as the kubeconfig says: requests by the official client's connection, with plain dictionaries as bodies.

The client finds server, namespace and credentials, runs what a kubeconfig names to get them, and keeps the connections.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import urllib3
from kubernetes import config
from kubernetes.client import ApiClient
from kubernetes.config.config_exception import ConfigException

from scoring_cli.documents import Manifest
from scoring_cli.errors import ClusterError, ObjectNotFound
from scoring_cli.options import Target
from scoring_operator.kinds import Kind, find_path

MANAGER = "scoring"
"""Field manager of what this command line applies."""

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
TIMEOUT_SECONDS = 30.0
CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    """What the API server, or what it passed a request on to, has answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Cluster:
    """One cluster, and the namespace that is meant in it."""

    def __init__(self, target: Target) -> None:
        """Find the cluster. Raises ClusterError when the kubeconfig does not name one."""
        self._client, default = _connect(target)
        self.namespace = target.namespace or default

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Manifest:
        """Return an object. Raises ObjectNotFound, ClusterError."""
        scope = (namespace or self.namespace) if kind.namespaced else None
        return self._ask("GET", find_path(kind, scope, name))

    def list(self, kind: Kind, labels: str = "", fields: str = "", *, everywhere: bool = False) -> Sequence[Manifest]:
        """Return the objects of a kind, by label and field selectors. Raises ObjectNotFound when the cluster lacks the kind."""
        scope = self.namespace if kind.namespaced and not everywhere else None
        query = {"labelSelector": labels, "fieldSelector": fields}
        answer = self._ask("GET", find_path(kind, scope), query={name: text for name, text in query.items() if text})
        return [{**item, "apiVersion": kind.api_version, "kind": kind.name} for item in answer["items"]]

    def apply(self, kind: Kind, body: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        """Server-side apply an object; return it as it is then. Raises ClusterError, with what the API server says of each field."""
        scope = body["metadata"].get("namespace") or self.namespace if kind.namespaced else None
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": str(force).lower()}
        query |= {"dryRun": "All"} if dry_run else {}
        return self._ask("PATCH", find_path(kind, scope, body["metadata"]["name"]), body, APPLY, query)

    def merge(self, kind: Kind, name: str, patch: Manifest, *subresource: str) -> Manifest:
        """Merge a patch into an object, or a subresource of it."""
        path = find_path(kind, self.namespace, name, *subresource)
        return self._ask("PATCH", path, patch, MERGE, {"fieldManager": MANAGER})

    def follow_lines(self, path: str, query: Mapping[str, str]) -> Iterator[str]:
        """Yield the lines of an answer as they come, for as long as it takes."""
        response = self._send("GET", path, query=query, read_seconds=None)
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _translate(response.status, response.data, path)
        rest = b""
        try:
            for chunk in response.stream(2**16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
        except urllib3.exceptions.HTTPError as error:
            raise ClusterError(f"{path} broke off: {error}") from error
        if rest:
            yield rest.decode(errors="replace")

    def pass_on(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Send bytes through the API server's proxy, and return what came back, whatever its status."""
        response = self._send(method, path, body, headers, read_seconds=TIMEOUT_SECONDS * 4)
        return Answer(response.status, response.data, dict(response.headers))

    def _ask(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Manifest:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", **({} if body is None else {"Content-Type": content_type})}
        response = self._send(method, path, data, headers, query)
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _translate(response.status, response.data, path)
        return cast("Manifest", json.loads(response.data))

    def _send(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        read_seconds: float | None = TIMEOUT_SECONDS,
    ) -> urllib3.BaseHTTPResponse:
        parameters = list((query or {}).items())
        method, url, all_headers, *_ = self._client.param_serialize(
            method, path, query_params=parameters, header_params=dict(headers or {}), auth_settings=["BearerToken"]
        )
        try:
            response: urllib3.BaseHTTPResponse = self._client.rest_client.pool_manager.request(
                method,
                url,
                body=data,
                headers=all_headers,
                preload_content=False,
                retries=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
            )
        except urllib3.exceptions.HTTPError as error:
            server = self._client.configuration.host
            raise ClusterError(
                f"The API server at {server} does not answer: {error}. See that --context is the right one."
            ) from error
        return response


def _connect(target: Target) -> tuple[ApiClient, str]:
    """Return the client and the namespace of the kubeconfig's context; inside a pod without a kubeconfig, the pod's own."""
    file = None if target.kubeconfig is None else str(target.kubeconfig)
    try:
        client = config.new_client_from_config(config_file=file, context=target.context, persist_config=False)
        contexts, active = config.list_kube_config_contexts(config_file=file)
    except (ConfigException, OSError, ValueError) as error:
        raise ClusterError(
            f"No cluster: {error} Name a kubeconfig by --kubeconfig or KUBECONFIG, and a context of it by --context."
        ) from error
    chosen = next((one for one in contexts if one["name"] == target.context), active)
    return client, chosen["context"].get("namespace") or "default"


def _translate(status: int, answer: bytes, path: str) -> ClusterError:
    try:
        message = str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        message = ""
    if status == HTTPStatus.NOT_FOUND:
        kindless = (
            f"The cluster does not serve {path}: install the operator's chart, or choose another cluster by --context."
        )
        return ObjectNotFound(f"{message}. Is the namespace right?" if message else kindless)
    return ClusterError(message or answer.decode(errors="replace").strip() or HTTPStatus(status).phrase)
