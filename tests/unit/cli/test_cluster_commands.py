"""`scoring apply` and `status` against a server on the loopback that plays the API server."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from command_line import Outcome, run_scoring
from web_servers import Handle, serve

MODEL = """
apiVersion: scoring.dev/v1beta1
kind: ScoringModel
metadata:
  name: faq
  annotations: {released: 2026-11-27, built: 2026-11-27 03:00:00, planned: 2026-13-45, tagged: !!timestamp 2026-11-27, 2026-11-28: seen}
spec:
  model: {uri: "pvc://models/faq.tar", format: sklearn}
"""
ANNOTATIONS = {
    "released": "2026-11-27",
    "built": "2026-11-27 03:00:00",
    "planned": "2026-13-45",
    "tagged": "2026-11-27",
    "2026-11-28": "seen",
}
"""What `kubectl apply` sends of them."""

LIVE = {
    "apiVersion": "scoring.dev/v1beta1",
    "kind": "ScoringModel",
    "metadata": {
        "name": "faq",
        "namespace": "shop",
        "uid": "1",
        "generation": 1,
        "creationTimestamp": "2026-11-27T03:00:00Z",
    },
    "spec": {},
}


def ask(handle: Handle, folder: Path, *arguments: object, stdin: str = "") -> Outcome:
    """Run a command with a kubeconfig of a server that answers by `handle`."""

    async def run() -> Outcome:
        async with serve(handle) as url:
            kubeconfig = write_kubeconfig(folder / "kubeconfig", url)
            return await asyncio.to_thread(run_scoring, *arguments, "--kubeconfig", kubeconfig, stdin=stdin)

    return asyncio.run(run())


def write_kubeconfig(path: Path, url: str) -> Path:
    config = {
        "clusters": [{"name": "played", "cluster": {"server": url}}],
        "users": [{"name": "user", "user": {}}],
        "contexts": [{"name": "played", "context": {"cluster": "played", "user": "user", "namespace": "shop"}}],
        "current-context": "played",
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_dates_in_a_manifest_are_applied_as_the_texts_that_they_are(tmp_path: Path) -> None:
    applied: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        applied.append(json.loads(await request.read()))
        return web.json_response(applied[-1])

    done = ask(answer, tmp_path, "apply", "-f", "-", stdin=MODEL)
    assert done.status == 0, done.stderr
    assert applied[0]["metadata"]["annotations"] == ANNOTATIONS


def build_event(reason: str, **times: str | None) -> dict[str, Any]:
    return {
        "metadata": {"creationTimestamp": "2026-11-27T03:00:00Z"},
        "reason": reason,
        "message": f"It is {reason}.",
        **times,
    }


def show_events(folder: Path, *events: dict[str, Any]) -> list[str]:
    """Return the lines on events that `scoring status` shows of a model with these."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/scoringmodels/faq"):
            return web.json_response(LIVE)
        return web.json_response({"items": events if request.path.endswith("/events") else []})

    done = ask(answer, folder, "status", "faq")
    assert done.status == 0, done.stderr
    return [line for line in done.stdout.splitlines() if " ago  " in line]


@pytest.mark.parametrize(
    "times",
    [
        {},
        {"lastTimestamp": None, "eventTime": "2026-11-27T03:00:00.123456Z"},
        {"lastTimestamp": "2026-11-27T03:00:00Z", "eventTime": None},
    ],
    ids=lambda times: next((name for name, time in times.items() if time), "creationTimestamp"),
)
def test_event_is_shown_whichever_time_it_has(tmp_path: Path, times: dict[str, str | None]) -> None:
    (line,) = show_events(tmp_path, build_event("Serving", **times))
    assert line.rstrip().endswith(" ago  Serving: It is Serving.")


@pytest.mark.parametrize(("missing", "shown"), [("message", "Serving"), ("reason", "It is Serving.")])
def test_event_is_shown_by_the_words_that_it_has(tmp_path: Path, missing: str, shown: str) -> None:
    event = build_event("Serving", lastTimestamp="2026-11-27T03:00:00Z")
    del event[missing]
    (line,) = show_events(tmp_path, event)
    assert line.rstrip().endswith(f" ago  {shown}")


def test_events_are_in_the_order_of_the_times_that_are_shown(tmp_path: Path) -> None:
    events = (
        build_event("Third", lastTimestamp="2026-11-27T05:00:00Z"),
        build_event("Second", eventTime="2026-11-27T04:00:00.000000Z"),
        build_event("First"),
    )
    lines = show_events(tmp_path, *events)
    assert [line.split(": ")[0].split()[-1] for line in lines] == ["First", "Second", "Third"]
