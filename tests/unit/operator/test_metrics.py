"""The operator's metrics, over a real server: what is asked of the API server, and /metrics itself."""

import ssl

import httpx
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from yarl import URL

from free_ports import find_free_port
from scoring_operator.api_requests import build_meter, name_resource, name_verb
from scoring_operator.clock import ClusterClock
from scoring_operator.cluster import Cluster
from scoring_operator.connection import Access
from scoring_operator.errors import ClusterError, NotFound
from scoring_operator.kinds import DEPLOYMENT, SCORING_MODEL, Scope
from scoring_operator.metrics import Metrics
from scoring_operator.metrics_server import MetricsServer
from web_servers import serve

BODY = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "secret-name", "namespace": "team", "uid": "1", "resourceVersion": "1"},
}


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/apis/apps/v1/deployments", "deployments"),
        ("/apis/apps/v1/namespaces/team/deployments", "deployments"),
        ("/apis/apps/v1/namespaces/team/deployments/faq", "deployments"),
        ("/apis/scoring.dev/v1beta1/namespaces/team/scoringmodels/faq/status", "scoringmodels/status"),
        ("/apis/scoring.dev/v1beta1/hardwareclasses/gpu/status", "hardwareclasses/status"),
        ("/api/v1/pods", "pods"),
        ("/api/v1/namespaces/team/services/faq", "services"),
        ("/apis/keda.sh/v1alpha1", "discovery"),
    ],
)
def test_resource_is_named_without_names_of_objects(path: str, resource: str) -> None:
    assert name_resource(path) == resource


@pytest.mark.parametrize(
    ("method", "query", "content_type", "verb"),
    [
        ("GET", "", "", "get"),
        ("GET", "?limit=100", "", "list"),
        ("GET", "?watch=true&resourceVersion=1", "", "watch"),
        ("POST", "", "application/json", "create"),
        ("PUT", "", "application/json", "update"),
        ("PATCH", "?force=true", "application/apply-patch+yaml", "apply"),
        ("PATCH", "", "application/merge-patch+json", "patch"),
        ("DELETE", "", "application/json", "delete"),
    ],
)
def test_verb_is_the_api_servers(method: str, query: str, content_type: str, verb: str) -> None:
    assert name_verb(method, URL(f"https://example.com/api/v1/pods{query}"), {"Content-Type": content_type}) == verb


@pytest.mark.asyncio
async def test_requests_are_counted_by_verb_resource_and_status_also_without_an_answer() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "DELETE" and request.transport is not None:
            request.transport.close()
        return web.json_response({}, status=404 if request.method == "GET" else 200)

    metrics = Metrics()
    async with serve(answer) as url:
        access = Access(url, ssl.create_default_context())
        meter = build_meter(metrics.record_request)
        cluster = await Cluster.connect(lambda: access, Scope(), ClusterClock(), [meter])
        await cluster.apply(DEPLOYMENT, BODY)
        assert await cluster.get(SCORING_MODEL, "team", "secret-name") is None
        with pytest.raises(ClusterError):
            await cluster.delete(DEPLOYMENT, BODY)
        with pytest.raises(NotFound):
            async for _ in cluster.watch(SCORING_MODEL, None, "1"):
                pass
        await cluster.close()
    assert read_counts(metrics.registry) == {
        ("apply", "deployments", "200"): 1,
        ("get", "scoringmodels", "404"): 1,
        ("delete", "deployments", "none"): 1,
        ("watch", "scoringmodels", "404"): 1,
    }
    assert metrics.registry.get_sample_value("scoring_operator_api_request_seconds_count", {"verb": "apply"}) == 1
    assert metrics.registry.get_sample_value("scoring_operator_api_request_seconds_count", {"verb": "watch"}) is None


def read_counts(registry: CollectorRegistry) -> dict[tuple[str, str, str], float]:
    return {
        (sample.labels["verb"], sample.labels["resource"], sample.labels["code"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "scoring_operator_api_requests_total"
    }


@pytest.mark.asyncio
async def test_metrics_are_served_at_their_port_and_nothing_else_is() -> None:
    metrics, port = Metrics(), find_free_port()
    server = MetricsServer(metrics.registry, port)
    await server.start()
    await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.get("/metrics")
        assert (await client.get("/")).status_code == 404
    await server.stop()
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "scoring_operator_leader 0.0" in answer.text
    assert "process_cpu_seconds_total" in answer.text


@pytest.mark.asyncio
async def test_port_in_use_is_an_error_and_port_0_is_none() -> None:
    first = MetricsServer(CollectorRegistry(), find_free_port())
    await MetricsServer(CollectorRegistry(), 0).start()
    await first.start()
    with pytest.raises(OSError, match="address already in use"):
        await MetricsServer(CollectorRegistry(), first.port).start()
    await first.stop()
