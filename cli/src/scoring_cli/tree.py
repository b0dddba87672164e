"""A model with its children as a tree: what each is, and in words why it waits. Above `family`."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.text import Text
from rich.tree import Tree

from scoring_cli.ages import describe_age
from scoring_cli.documents import Manifest
from scoring_cli.family import Family, find_time
from scoring_cli.standing import Standing, read_standing
from scoring_operator.diagnosis import find_condition, find_containers, find_pod_problem, is_ready
from scoring_operator.kinds import AUTOSCALER, DEPLOYMENT, HTTP_ROUTE, INGRESS, SCALED_OBJECT, SERVICE

GOOD, BAD, WAITING, PLAIN = "✓", "✗", "…", " "
STYLES = {GOOD: "green", BAD: "red", WAITING: "yellow", PLAIN: ""}


@dataclass(frozen=True)
class Note:
    """A mark, and words on an object."""

    mark: str
    words: str = ""


def build_tree(family: Family) -> Tree:
    """Return the tree of one model."""
    standing = read_standing(family.model)
    tree = Tree(
        _write(f"ScoringModel {standing.name}", Note(find_mark(standing), f"{standing.reason}: {standing.message}"))
    )
    if standing.url:
        tree.add(Text(f"  answers at {standing.url}"))
    for name in ("RouteReady", "ScalingInactive"):
        condition = find_condition(family.model, name)
        if condition:
            tree.add(_write(name, judge_condition(condition)))
    for child in family.children:
        branch = tree.add(_write(f"{child['kind']} {child['metadata']['name']}", judge_child(child)))
        if child["kind"] == DEPLOYMENT.name:
            _add_pods(branch, family)
    for kind, problem in family.unseen.items():
        tree.add(_write(kind, Note(BAD, f"cannot be looked at: {problem}")))
    _add_events(tree, family)
    return tree


def render_family(family: Family) -> Manifest:
    """Return the same for programs: the summary, and for each object its kind, name, mark and words."""
    children = [(child, judge_child(child)) for child in family.children]
    pods = [(pod, judge_pod(pod)) for pod in family.pods]
    return {
        **read_standing(family.model).render(),
        "children": [
            {
                "kind": body["kind"],
                "name": body["metadata"]["name"],
                "state": {GOOD: "good", BAD: "bad", WAITING: "waiting", PLAIN: "there"}[note.mark],
                "message": note.words,
            }
            for body, note in [*children, *pods]
        ],
        "unseen": family.unseen,
    }


def find_mark(standing: Standing) -> str:
    """Return the mark of a model: a cross once time alone will not mend it."""
    if standing.is_ready:
        return GOOD
    return BAD if standing.is_stalled else WAITING


def judge_condition(condition: Manifest) -> Note:
    """Return the note of a condition beside Ready."""
    bad = "True" if condition["type"] == "ScalingInactive" else "False"
    mark = BAD if condition["status"] == bad else WAITING if condition["status"] == "Unknown" else GOOD
    return Note(mark, f"{condition['reason']}: {condition['message']}")


def judge_child(child: Manifest) -> Note:
    """Return the note of a child of any kind."""
    judge = JUDGES.get(child["kind"])
    return judge(child) if judge else Note(PLAIN)


def judge_deployment(body: Manifest) -> Note:
    """Return how many replicas there are."""
    status, wished = body.get("status", {}), body["spec"].get("replicas", 1)
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    words = f"{ready} of {wished} replicas ready" + (
        f", {updated} of the newest generation" if updated != wished else ""
    )
    return Note(GOOD if ready == updated == wished else WAITING, words)


def judge_service(body: Manifest) -> Note:
    """Return where a Service is reached."""
    spec, entries = body["spec"], body.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    if spec.get("type") != "LoadBalancer":
        return Note(GOOD, f"{spec.get('type', 'ClusterIP')} {spec.get('clusterIP', '')}")
    addresses = ", ".join(entry.get("hostname") or entry.get("ip", "") for entry in entries)
    return Note(GOOD if addresses else WAITING, f"LoadBalancer {addresses or 'waits for an address'}")


def judge_autoscaler(body: Manifest) -> Note:
    """Return an autoscaler's bounds and what it does."""
    spec, status = body["spec"], body.get("status", {})
    words = (
        f"{spec.get('minReplicas', 1)} to {spec['maxReplicas']} replicas, wishes {status.get('desiredReplicas', '?')}"
    )
    active = find_condition(body, "ScalingActive")
    if active.get("status") == "False":
        return Note(BAD, f"{words}: {active.get('message', '')}")
    return Note(GOOD if active else WAITING, words)


def judge_ready(body: Manifest) -> Note:
    """Return the Ready condition of an object that has one."""
    ready = find_condition(body, "Ready")
    marks = {"True": GOOD, "False": BAD}
    return Note(marks.get(ready.get("status", ""), WAITING), ready.get("message", ""))


def judge_route(body: Manifest) -> Note:
    """Return the hosts of an Ingress or HTTPRoute."""
    spec = body["spec"]
    hosts = (
        [rule.get("host", "*") for rule in spec.get("rules", [])]
        if body["kind"] == INGRESS.name
        else spec.get("hostnames", [])
    )
    return Note(PLAIN, ", ".join(hosts))


def judge_pod(pod: Manifest) -> Note:
    """Return the state of a replica: the operator's own words when something is wrong."""
    problem = find_pod_problem(pod)
    if problem is not None:
        return Note(BAD if problem.stalled else WAITING, f"{problem.reason}: {problem.message}")
    where = f"on {pod['spec']['nodeName']}" if pod["spec"].get("nodeName") else "on no node yet"
    restarts = sum(status.get("restartCount", 0) for status in find_containers(pod))
    restarted = f", restarted {restarts} times" if restarts else ""
    if "deletionTimestamp" in pod["metadata"]:
        return Note(WAITING, f"ending, {where}")
    word = "ready" if is_ready(pod) else pod.get("status", {}).get("phase", "Pending").lower()
    return Note(GOOD if is_ready(pod) else WAITING, f"{word}, {where}{restarted}")


JUDGES: dict[str, Callable[[Manifest], Note]] = {
    DEPLOYMENT.name: judge_deployment,
    SERVICE.name: judge_service,
    AUTOSCALER.name: judge_autoscaler,
    SCALED_OBJECT.name: judge_ready,
    INGRESS.name: judge_route,
    HTTP_ROUTE.name: judge_route,
}


def _add_events(tree: Tree, family: Family) -> None:
    branch = tree.add(Text("  newest events")) if family.events else tree
    for event in family.events:
        words = ": ".join(filter(None, (event.get("reason"), event.get("message"))))
        branch.add(Text(f"{describe_age(find_time(event))} ago  {words}"))


def _add_pods(branch: Tree, family: Family) -> None:
    for pod in sorted(family.pods, key=lambda one: str(one["metadata"]["name"])):
        branch.add(_write(f"Pod {pod['metadata']['name']}", judge_pod(pod)))


def _write(name: str, note: Note) -> Text:
    return Text.assemble((f"{note.mark} ", STYLES[note.mark]), (name, "bold"), f"  {note.words}".rstrip())
