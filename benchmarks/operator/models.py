"""So many models at once, beside the floor; then the operator at rest, one change at a time, and started anew."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.operator.api_server import DEPLOYMENTS, find_path
from benchmarks.operator.contenders import Contender
from benchmarks.operator.counting import Counters, count_by_verb, count_cpu, count_cpu_by_model
from benchmarks.operator.floor import measure_floor
from benchmarks.operator.load import create_models, name_models
from benchmarks.operator.observations import CHILDREN
from benchmarks.operator.options import Options
from benchmarks.operator.ours import CLASS, CLASSES
from benchmarks.operator.processes import count_cpu_seconds, read_memory
from benchmarks.operator.subject import Milliseconds, Subject, open_subject

DELETED = 20
_THREADS = 3


async def measure(options: Options, contenders: Sequence[Contender], count: int, logs: Path) -> dict[str, Any]:
    """Return all that is measured with so many models: all at once by the floor and each contender in turns, after the last turn the rest."""
    rounds: list[dict[str, Any]] = []
    parts: dict[str, dict[str, Any]] = {}
    for number in range(1, options.rounds + 1):
        options.progress(f"{count} models, round {number} of {options.rounds}")
        rounds.append({"floor": await _measure_floor(options, count) if options.with_floor else {}})
        for contender in contenders:
            options.progress(f"{count} models: {contender.name}")
            log = logs / f"{contender.name}-{count}.log"
            async with open_subject(contender, options.cluster, 2 * (count + options.samples), log) as subject:
                parts[contender.name] = {"memory_without_models": read_memory(subject.operator.pid)}
                at_once = rounds[-1][contender.name] = await _make_all(subject, name_models(count))
                options.progress(f"{count} models: {at_once}")
                if number == options.rounds:
                    parts[contender.name] |= await _measure_rest(subject, options, count)
    return {"models": count, "rounds": rounds, **parts}


async def _measure_floor(options: Options, count: int) -> dict[str, Any]:
    options.progress(f"{count} models: the floor")
    return await measure_floor(options.cluster, count)


async def _measure_rest(subject: Subject, options: Options, count: int) -> dict[str, Any]:
    names = name_models(count)
    found: dict[str, Any] = {"memory": read_memory(subject.operator.pid)}
    await subject.wait_until_told(names)
    found["idle"] = await _rest(subject, options.idle_seconds)
    more = name_models(options.samples, first=count)
    found["one_more"] = await _repeat(subject, more, subject.make_one)
    some = [*names, *more][: options.samples]
    found["deployment_deleted"] = await _repeat(subject, some, subject.delete_deployment)
    found["edit"] = await _repeat(subject, some, lambda name: subject.edit(name, "first"))
    options.progress(f"{count} models: {found['one_more']} {found['edit']}")
    await subject.wait_until_quiet()
    found["restart"] = await _restart(subject, names)
    found["restart_after_deletions"] = await _restart_after_deletions(subject, names[-DELETED:])
    found["memory_after_restart"] = read_memory(subject.operator.pid)
    options.progress(f"{count} models: {found['restart']} {found['restart_after_deletions']}")
    if count <= options.class_edit_models:
        found["class_edit"] = await _edit_class(subject, [*names, *more])
    found["memory_at_end"] = read_memory(subject.operator.pid)
    return found


async def _make_all(subject: Subject, names: Sequence[str]) -> dict[str, Any]:
    observer, count = subject.observer, len(names)
    before, started = await subject.count(), time.perf_counter()
    await create_models(subject.cluster.api, subject.contender, names)
    created = time.perf_counter()
    models = subject.contender.models
    ready = await observer.wait_for(lambda: observer.count_ready(models) == count, "all models to be Ready")
    after = await subject.count()
    await subject.wait_until_quiet()
    quiet = await subject.count()
    own = subject.count_own(before, quiet)
    return {
        "created_seconds": round(created - started, 3),
        "children_seconds": round(observer.find_last(CHILDREN, names) - started, 3),
        "ready_seconds": round(ready - started, 3),
        "cpu_ms_per_model": count_cpu_by_model(before, after, count),
        "per_model": {name: round(number / count, 2) for name, number in own.items()},
        "requests": count_by_verb(after.requests - before.requests),
    }


async def _rest(subject: Subject, seconds: float) -> dict[str, Any]:
    """Look at the operator while nothing is asked of it."""
    before, after = await subject.count_during(lambda: asyncio.sleep(seconds))
    return {"seconds": seconds, **subject.count_own(before, after), **_describe_cpu(before, after, seconds)}


def _describe_cpu(before: Counters, after: Counters, seconds: float) -> dict[str, float]:
    return {f"{name}_cpu_percent": round(used / seconds * 100, 2) for name, used in count_cpu(before, after).items()}


async def _repeat(
    subject: Subject, names: Sequence[str], work: Callable[[str], Awaitable[Milliseconds]]
) -> dict[str, Any]:
    """Do the work for each name, one after the other; return the median and the 99th percentile of each time in milliseconds."""
    samples = []
    for name in names:
        samples.append(await work(name))
        await subject.wait_until_calm(name)
    return {
        key: {"p50": median(times), "p99": find_percentile(times, 99), "samples": times}
        for key in samples[0]
        for times in [[sample[key] for sample in samples]]
    }


def find_percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile; with few values the highest of them stands for the high ones."""
    return round(quantiles(values, n=100, method="inclusive")[percent - 1], 1) if len(values) > 1 else values[0]


async def _restart(subject: Subject, names: Sequence[str]) -> dict[str, Any]:
    """Start the operator anew, with one change made meanwhile: the time until it follows is that until the operator works."""
    subject.operator.stop()
    await subject.patch_model(names[0], "meanwhile")
    before = await subject.count_without_operator()
    started = time.perf_counter()
    healthy = asyncio.create_task(asyncio.to_thread(subject.operator.start))
    reacted = await subject.observer.wait_for(lambda: subject.has_value(names[0], "meanwhile"), "the first reaction")
    healthy_seconds = await healthy
    settled = await subject.wait_until_quiet()
    used = count_cpu_seconds(subject.operator.pid)
    own = subject.count_own(before, await subject.count())
    return {
        "healthy_seconds": round(healthy_seconds, 3),
        "reacted_seconds": round(reacted - started, 3),
        "settled_seconds": round(settled - started, 3),
        "operator_cpu_seconds": used,
        **own,
    }


async def _restart_after_deletions(subject: Subject, names: Sequence[str]) -> dict[str, float]:
    """Start the operator anew after Deployments were deleted meanwhile."""
    subject.operator.stop()
    old = {name: subject.observer.seen[DEPLOYMENTS][name].uid for name in names}
    for name in names:
        await subject.remove_deployment(name)
    seen = subject.observer.seen[DEPLOYMENTS]
    await subject.observer.wait_for(lambda: not any(name in seen for name in names), "the deletions")
    started = time.perf_counter()
    healthy = asyncio.create_task(asyncio.to_thread(subject.operator.start))
    repaired = await subject.observer.wait_for(
        lambda: all(name in seen and seen[name].uid != uid for name, uid in old.items()), "the repair"
    )
    await healthy
    await subject.wait_until_quiet()
    return {"deleted": len(names), "repaired_seconds": round(repaired - started, 3)}


async def _edit_class(subject: Subject, names: Sequence[str]) -> dict[str, Any]:
    """Change the class of all models; return the time until each Deployment follows, and until all are Ready again."""
    wished = {"name": "SCORING_THREADS", "value": str(_THREADS)}
    before = await subject.count()
    await subject.cluster.api.patch(find_path(CLASSES, name=CLASS["metadata"]["name"]), {"spec": {"threads": _THREADS}})
    started = time.perf_counter()
    followed = await subject.observer.wait_for(
        lambda: all(wished in subject.read_environment(name) for name in names), "all Deployments to follow the class"
    )
    await subject.wait_until_quiet()
    ready = await subject.observer.wait_for(
        lambda: subject.observer.count_ready(subject.contender.models) == len(names), "all models to be Ready again"
    )
    after = await subject.count()
    return {
        "models": len(names),
        "followed_seconds": round(followed - started, 3),
        "ready_seconds": round(ready - started, 3),
        "cpu_ms_per_model": count_cpu_by_model(before, after, len(names)),
        **subject.count_own(before, after),
    }
