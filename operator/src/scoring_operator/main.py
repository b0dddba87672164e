"""The table of contents: which watches feed the work queue, and how the operator starts, stops and shows that it lives."""

import dataclasses
import logging
import os
import socket
from typing import Any

import kopf
from pydantic import ValidationError
from pydantic_settings import SettingsError

from scoring_operator.api import GROUP, VERSION, describe_fields
from scoring_operator.errors import ClusterError
from scoring_operator.kinds import KINDS_BY_NAME, WATCHED, select_managed
from scoring_operator.settings import Settings
from scoring_operator.work import Work

START_RETRY_SECONDS = 5.0
"""Wait before the next try when the API server is not reachable, or lacks the CRDs, at the start."""


def build_registry(work: Work) -> kopf.OperatorRegistry:
    """Return kopf's registry with our handlers: one for all objects, since every cause leads to the same reconcile."""
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry, id="start")
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)
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

    @kopf.on.event(GROUP, VERSION, kopf.EVERYTHING, registry=registry)
    @kopf.on.event("apps", "v1", "deployments", registry=registry)
    @kopf.on.event("autoscaling", "v2", "horizontalpodautoscalers", registry=registry)
    @kopf.on.event("", "v1", "services", registry=registry)
    @kopf.on.event("", "v1", "pods", registry=registry)
    async def observe(event: kopf.RawEvent, **_: Any) -> None:
        body = event["object"]
        work.observe(KINDS_BY_NAME[body["kind"]], dict(body), is_deleted=event["type"] == "DELETED")

    return registry


def find_server() -> str:
    """Return the URL of the API server that the kubelet gives each container in its environment."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def configure(settings: kopf.OperatorSettings) -> None:
    """Set kopf up: watch only what carries our label, watch only what we may, and leave events about log lines to nobody."""
    for kind in WATCHED:
        selector = select_managed(kind)
        if selector:
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = selector
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
    if settings.log_level != "debug":
        # One line for every event of every watched object: what follows from it is logged by us.
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    kopf.run(
        registry=build_registry(Work(settings)),
        clusterwide=True,
        standalone=True,
        # By default kopf takes the user's name, which a container's numeric user has not.
        identity=socket.gethostname(),  # type: ignore[arg-type]  # a NewType of str that kopf does not export
        liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
    )
