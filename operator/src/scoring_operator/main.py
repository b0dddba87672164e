"""The table of contents: which watches feed the work queue, and how the operator starts, stops and shows that it lives."""

import dataclasses
import logging
import os
import socket
from typing import Any

import kopf
from pydantic import ValidationError
from pydantic_settings import SettingsError

from scoring_operator.api import describe_fields
from scoring_operator.errors import ClusterError
from scoring_operator.kinds import CRD_KINDS, KINDS_BY_NAME, Scope
from scoring_operator.settings import Settings
from scoring_operator.work import Work

logger = logging.getLogger(__name__)

START_RETRY_SECONDS = 5.0
"""Wait before the next try when the API server is not reachable, or lacks the CRDs, at the start."""


def build_registry(work: Work, scope: Scope) -> kopf.OperatorRegistry:
    """Return kopf's registry with our handlers."""
    registry = kopf.OperatorRegistry()
    add_life_cycle(registry, work, scope)
    add_watches(registry, work, scope)
    return registry


def add_life_cycle(registry: kopf.OperatorRegistry, work: Work, scope: Scope) -> None:
    """Add how the operator starts, stops, logs in and shows that it lives."""

    @kopf.on.startup(registry=registry, id="start")
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings, scope)
        try:
            await work.start()
        except ClusterError as error:
            raise kopf.TemporaryError(str(error), delay=START_RETRY_SECONDS) from None

    @kopf.on.cleanup(registry=registry, id="stop")
    async def stop(**_: Any) -> None:
        await work.stop()

    @kopf.on.login(registry=registry, id="login")
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        account = kopf.login_with_service_account(**kwargs)
        # kopf takes the API server's DNS name; the address that every pod is given works in a cluster without DNS too.
        return dataclasses.replace(account, server=find_server()) if account else kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.probe(registry=registry, id="longestRunSeconds")
    async def probe(**_: Any) -> float:
        return work.check_health()

    @kopf.on.probe(registry=registry, id="leading")
    async def tell_role(**_: Any) -> bool:
        return work.is_leading()


def add_watches(registry: kopf.OperatorRegistry, work: Work, scope: Scope) -> None:
    """Add one handler for all objects, since every cause leads to the same reconcile, and one for kinds that come and go."""

    async def observe(event: kopf.RawEvent, **_: Any) -> None:
        body = event["object"]
        work.observe(KINDS_BY_NAME[body["kind"]], dict(body), is_deleted=event["type"] == "DELETED")

    async def discover(name: str, **_: Any) -> None:
        if name in CRD_KINDS:
            try:
                await work.discover()
            except ClusterError as error:
                logger.warning("Optional kinds not looked for, the next resync does: %s", error)

    for kind in scope.kinds:
        kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)(observe)
    kopf.on.event("apiextensions.k8s.io", "v1", "customresourcedefinitions", registry=registry)(discover)


def find_server() -> str:
    """Return the URL of the API server that the kubelet gives each container in its environment."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def configure(settings: kopf.OperatorSettings, scope: Scope) -> None:
    """Set kopf up: watch only what carries our label, watch what appears later too, and leave events about log lines to nobody."""
    for kind in scope.kinds:
        selector = scope.find_selector(kind)
        if selector:
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = selector
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
    if settings.log_level != "debug":
        # One line for every event of every watched object: what follows from it is logged by us.
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    # Without a view of all namespaces nobody can tell what is free.
    scope = Scope(settings.namespaces, is_capacity_told=settings.capacity_advice and not settings.namespaces)
    kopf.run(
        registry=build_registry(Work(settings, scope), scope),
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        standalone=True,
        # By default kopf takes the user's name, which a container's numeric user has not.
        identity=socket.gethostname(),  # type: ignore[arg-type]  # a NewType of str that kopf does not export
        liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
    )
