"""`scoring logs`: the log lines of all replicas of a model, each with its pod's name."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple

import click

from scoring_cli.cluster import Cluster
from scoring_cli.documents import Manifest
from scoring_cli.durations import Duration
from scoring_cli.errors import ClusterError, ObjectNotFound
from scoring_cli.options import Target, cluster_options
from scoring_cli.output import tell
from scoring_operator.kinds import FETCH_CONTAINER, MODEL_LABEL, POD, SCORING_MODEL, find_path

MAX_PODS = 20


class Line(NamedTuple):
    """One line of a log, or, with `text` None, its end; an error says why."""

    pod: str
    text: str | None
    error: str | None = None


@click.command("logs")
@click.argument("name")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--previous", "-p", is_flag=True, help="Of the containers that ran before the present ones.")
@click.option(
    "--fetch", "is_fetch", is_flag=True, help="Of the container that fetches the artifact, instead of the server."
)
@click.option("--tail", type=click.IntRange(0), help="The newest lines of each replica only.")
@click.option("--since", type=Duration(), help="Lines that are not older than, such as 10m.")
@click.option(
    "--output",
    "-o",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How lines are printed.",
)
@cluster_options
def command(target: Target, name: str, form: str, **options: Any) -> None:
    """Show the logs of the model NAME: those of its replicas, one after the other, or as they come with --follow.

    \b
    scoring logs faq --tail 20
    scoring logs faq --fetch
    """
    cluster = Cluster(target)
    cluster.get(SCORING_MODEL, name)  # A name that is wrong is told as such.
    pods = cluster.list(POD, f"{MODEL_LABEL}={name}")
    if not pods:
        tell(f"{name} has no replicas now: scoring status {name} tells why.")
        return
    if len(pods) > MAX_PODS:
        tell(f"note: of {len(pods)} replicas, {MAX_PODS} are shown.")
    query = build_query(**options)
    failures = []
    for line in read_lines(cluster, pods[:MAX_PODS], query, is_followed=options["follow"]):
        if line.error is not None:
            failures.append(line)
            tell(f"{line.pod}: {line.error}")
        elif line.text is not None:
            click.echo(write_line(line, form))
    if len(failures) == len(pods):
        raise ClusterError("No replica has such a log.")


def build_query(
    *, follow: bool, previous: bool, is_fetch: bool, tail: int | None, since: float | None
) -> dict[str, str]:
    """Return the parameters of the API server's log."""
    query = {"follow": str(follow).lower(), "previous": str(previous).lower()}
    query |= {"container": FETCH_CONTAINER} if is_fetch else {}
    query |= {} if tail is None else {"tailLines": str(tail)}
    query |= {} if since is None else {"sinceSeconds": str(max(1, int(since)))}
    return query


def read_lines(
    cluster: Cluster, pods: Sequence[Manifest], query: dict[str, str], *, is_followed: bool
) -> Iterator[Line]:
    """Yield lines of pods: pod by pod, or as they come from all of them."""
    if not is_followed:
        for pod in pods:
            yield from read_pod(cluster, pod, query)
        return
    queue: SimpleQueue[Line] = SimpleQueue()
    for pod in pods:
        threading.Thread(target=_follow, args=(queue.put, cluster, pod, query), daemon=True).start()
    running = len(pods)
    while running:
        line = queue.get()
        running -= line.text is None
        yield line


def read_pod(cluster: Cluster, pod: Manifest, query: dict[str, str]) -> Iterator[Line]:
    """Yield the lines of one pod; that it has none is a line too."""
    name = pod["metadata"]["name"]
    container = query.get("container") or pod["spec"]["containers"][0]["name"]
    try:
        path = find_path(POD, cluster.namespace, name, "log")
        yield from (Line(name, text) for text in cluster.follow_lines(path, {**query, "container": container}))
    except (ObjectNotFound, ClusterError) as error:
        yield Line(name, None, str(error))


def _follow(put: Callable[[Line], None], cluster: Cluster, pod: Manifest, query: dict[str, str]) -> None:
    ended = False
    for line in read_pod(cluster, pod, query):
        put(line)
        ended = line.text is None
    if not ended:
        put(Line(pod["metadata"]["name"], None))


def write_line(line: Line, form: str) -> str:
    """Return a line as it is printed; as JSON, what is JSON already becomes a part of it."""
    if form == "text":
        return f"{line.pod} {line.text}"
    try:
        said: object = json.loads(line.text or "")
    except ValueError:
        said = line.text
    return json.dumps({"pod": line.pod, "line": said}, ensure_ascii=False)
