"""Requests to the API server as the metrics name them: hooks into a connection that tell verb, resource, status and time of each."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace

import aiohttp
from yarl import URL

from scoring_operator.clock import read_steady_seconds
from scoring_operator.metrics import WATCH

NO_ANSWER = "none"
DISCOVERY = "discovery"
"""Resource of a question for the kinds of a group."""

VERBS = {"POST": "create", "PUT": "update", "DELETE": "delete"}
APPLY_TYPE = "application/apply-patch"

Report = Callable[[str, str, str, float], None]
"""Takes verb, resource, HTTP status and seconds."""


def build_meter(report: Report) -> aiohttp.TraceConfig:
    """Return hooks for a connection that report each request when its answer begins, or when there is none."""

    async def start(
        _session: aiohttp.ClientSession, context: SimpleNamespace, request: aiohttp.TraceRequestStartParams
    ) -> None:
        context.verb = name_verb(request.method, request.url, request.headers)
        context.resource = name_resource(request.url.path)
        context.started = read_steady_seconds()

    async def end(
        _session: aiohttp.ClientSession, context: SimpleNamespace, request: aiohttp.TraceRequestEndParams
    ) -> None:
        tell(context, str(request.response.status))

    async def fail(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _request: aiohttp.TraceRequestExceptionParams
    ) -> None:
        tell(context, NO_ANSWER)

    def tell(context: SimpleNamespace, code: str) -> None:
        report(context.verb, context.resource, code, read_steady_seconds() - context.started)

    meter = aiohttp.TraceConfig()
    meter.on_request_start.append(start)
    meter.on_request_end.append(end)
    meter.on_request_exception.append(fail)
    return meter


def name_verb(method: str, url: URL, headers: Mapping[str, str]) -> str:
    """Return the API server's verb for a request: get, list, watch, create, update, apply, patch or delete."""
    if method == "GET":
        if url.query.get("watch") == "true":
            return WATCH
        return "list" if "limit" in url.query else "get"
    if method == "PATCH":
        return "apply" if headers.get("Content-Type", "").startswith(APPLY_TYPE) else "patch"
    return VERBS[method]


def name_resource(path: str) -> str:
    """Return the resource of a path such as /apis/apps/v1/namespaces/team/deployments/faq, with its subresource, if any: never a name."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if rest[:1] == ["namespaces"] and rest[2:]:
        rest = rest[2:]
    if not rest:
        return DISCOVERY
    return "/".join((rest[0], *rest[2:3]))
