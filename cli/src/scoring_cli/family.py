"""A model and what belongs to it, as the cluster has them now: children, pods and events. Above `cluster`."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from scoring_cli.cluster import Cluster
from scoring_cli.documents import Manifest
from scoring_cli.errors import ClusterError, ObjectNotFound
from scoring_operator.kinds import CHILDREN, EVENT, MODEL_LABEL, POD, SCORING_MODEL, Kind

KINDS = (*dict.fromkeys(kind.stored for kind in CHILDREN), POD)
REQUESTS_AT_ONCE = 8
EVENTS_SHOWN = 5


@dataclass(frozen=True)
class Family:
    """One model with its children by kind."""

    model: Manifest
    children: Sequence[Manifest] = ()
    pods: Sequence[Manifest] = ()
    events: Sequence[Manifest] = ()
    """The model's newest ones, oldest first."""

    unseen: dict[str, str] = field(default_factory=dict)
    """Why a kind could not be looked at, by its name."""


def fetch_family(cluster: Cluster, name: str) -> Family:
    """Return a model and what belongs to it. Raises ObjectNotFound, ClusterError when the model itself cannot be had."""
    model = cluster.get(SCORING_MODEL, name)
    selector = f"{MODEL_LABEL}={name}"
    unseen: dict[str, str] = {}

    def look(kind: Kind) -> Sequence[Manifest]:
        try:
            return cluster.list(kind, selector)
        except ObjectNotFound:
            return []  # The cluster lacks the kind.
        except ClusterError as error:
            unseen[kind.name] = str(error)
            return []

    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        found = dict(zip(KINDS, pool.map(look, KINDS), strict=True))
    pods = found.pop(POD)
    return Family(
        model, [body for bodies in found.values() for body in bodies], pods, _fetch_events(cluster, model), unseen
    )


def find_time(event: Manifest) -> str:
    """Return when an event was last seen, else when it was made: one written through events.k8s.io may have `eventTime` alone."""
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def _fetch_events(cluster: Cluster, model: Manifest) -> list[Manifest]:
    try:
        events = cluster.list(EVENT, fields=f"involvedObject.uid={model['metadata']['uid']}")
    except ClusterError:
        return []  # The conditions say the same.
    return sorted(events, key=find_time)[-EVENTS_SHOWN:]
