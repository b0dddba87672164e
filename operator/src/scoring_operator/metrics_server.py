"""/metrics on a port of its own: kopf's /healthz has no room for it, and who may scrape need not be who may probe."""

import prometheus_client
from aiohttp import web


class MetricsServer:
    """Answers GET /metrics with all that a registry holds, in Prometheus' text format."""

    def __init__(self, registry: prometheus_client.CollectorRegistry, port: int) -> None:
        """Take the port at which `start` listens; 0 for not at all."""
        self._registry = registry
        self.port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen from now on; calling it again does nothing. Raises OSError when the port cannot be used."""
        if self._runner is not None or self.port == 0:
            return
        app = web.Application()
        app.router.add_get("/metrics", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._runner = runner
        try:
            # As /healthz does; a pod is reached at an address that it does not know beforehand.
            await web.TCPSite(runner, "0.0.0.0", self.port).start()  # noqa: S104
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, _request: web.Request) -> web.Response:
        body = prometheus_client.generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})
