"""The table of contents: how the operator logs in, starts, stops and shows that it lives."""

import dataclasses
import logging
import os
import socket
from typing import Any

import kopf
import uvloop
from pydantic import ValidationError
from pydantic_settings import SettingsError

from scoring_operator.api import describe_fields
from scoring_operator.connection import Access
from scoring_operator.errors import ClusterError
from scoring_operator.kinds import Scope
from scoring_operator.logs import redact_logs
from scoring_operator.metrics_server import MetricsServer
from scoring_operator.settings import Settings
from scoring_operator.work import Work

logger = logging.getLogger(__name__)

START_RETRY_SECONDS = 5.0
"""Wait before the next try when the API server is not reachable, or lacks the CRDs, at the start."""


def build_registry(work: Work, server: MetricsServer) -> kopf.OperatorRegistry:
    """Return kopf's registry with our handlers; what is watched is in `watches`."""
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry, id="start")
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)
        try:
            # First, so that it is told as well that the rest does not start.
            await server.start()
        except OSError as error:
            raise kopf.PermanentError(f"SCORING_OPERATOR_METRICS_PORT cannot be used: {error}") from error
        try:
            await work.start()
        except ClusterError as error:
            raise kopf.TemporaryError(str(error), delay=START_RETRY_SECONDS) from None

    @kopf.on.cleanup(registry=registry, id="stop")
    async def stop(**_: Any) -> None:
        await work.stop()
        await server.stop()

    @kopf.on.login(registry=registry, id="login")
    async def login(**_: Any) -> kopf.ConnectionInfo | None:
        return log_in()

    @kopf.on.probe(registry=registry, id="longestRunSeconds")
    async def probe(**_: Any) -> float:
        return work.check_health()

    @kopf.on.probe(registry=registry, id="leading")
    async def tell_role(**_: Any) -> bool:
        return work.is_leading()

    return registry


def log_in() -> kopf.ConnectionInfo | None:
    """Return the pod's service account, or what the kubeconfig says, or None without either."""
    given: dict[str, Any] = {"logger": logger, "settings": kopf.OperatorSettings()}
    account = kopf.login_with_service_account(**given)
    if account:
        # kopf takes the API server's DNS name; the address that every pod is given works in a cluster without DNS too.
        return dataclasses.replace(account, server=find_server())
    found = kopf.login_with_kubeconfig(**given)
    if found and not (found.token or found.password or found.certificate_path or found.certificate_data):
        # A kubeconfig whose credentials a program has to fetch: the official client can run it, where it is installed.
        return kopf.login_via_client(**given) or found
    return found


def find_access() -> Access:
    """Return how to reach the API server; raises ClusterError when nothing says so."""
    try:
        info = log_in()
    except (kopf.LoginError, OSError, KeyError) as error:
        raise ClusterError(f"no usable kubeconfig: {error}") from error
    if info is None:
        raise ClusterError("neither in a pod nor with a kubeconfig")
    return Access(info.server, info.as_ssl_context(), info.as_http_headers(), info.proxy_url)


def find_server() -> str:
    """Return the URL of the API server that the kubelet gives each container in its environment."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def configure(settings: kopf.OperatorSettings) -> None:
    """Set kopf up: it watches nothing, and leaves events about log lines to nobody."""
    settings.scanning.disabled = True
    settings.posting.enabled = False


def load_settings() -> Settings:
    """Return the settings of the environment; exits with a sentence for each that is wrong."""
    try:
        settings = Settings()
    except ValidationError as error:
        raise SystemExit(
            f"Settings (environment variables SCORING_OPERATOR_…, in capitals): {describe_fields(error)}."
        ) from error
    except SettingsError as error:
        raise SystemExit(f"Settings: {error}. SCORING_OPERATOR_RUNTIME_IMAGES must be a JSON object.") from error
    if settings.leader_election and not settings.namespace:
        raise SystemExit(
            "Settings: SCORING_OPERATOR_NAMESPACE must name the Lease's namespace; "
            "or SCORING_OPERATOR_LEADER_ELECTION=false where no second operator can run."
        )
    return settings


def run() -> None:
    """Run the operator until SIGTERM."""
    settings = load_settings()
    log_format = kopf.LogFormat.JSON if settings.log_format == "json" else kopf.LogFormat.PLAIN
    kopf.configure(debug=settings.log_level == "debug", log_format=log_format)
    logging.getLogger().setLevel(settings.log_level.upper())
    for name in ("aiohttp.access", "kopf.activities.probe"):
        logging.getLogger(name).setLevel(logging.WARNING)  # one line for each probe
    redact_logs(settings.redact_patterns, os.environ)
    # Without a view of all namespaces nobody can tell what is free.
    scope = Scope(settings.namespaces, is_capacity_told=settings.capacity_advice and not settings.namespaces)
    work = Work(settings, scope, find_access)
    kopf.run(
        registry=build_registry(work, MetricsServer(work.metrics.registry, settings.metrics_port)),
        clusterwide=True,
        standalone=True,
        # By default kopf takes the user's name, which a container's numeric user has not.
        identity=socket.gethostname(),  # type: ignore[arg-type]  # a NewType of str that kopf does not export
        loop=uvloop.new_event_loop(),
        liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
    )
