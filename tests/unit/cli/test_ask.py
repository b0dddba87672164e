"""`scoring score`, `load` and `keys` against a runtime as it runs in a pod: a process of its own, with API keys."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from command_line import Outcome, run_scoring
from free_ports import find_free_port
from local_clusters import ROOT
from runtime_processes import Runtime
from tensor_models import TABLE_EXAMPLE, write_artifact
from web_servers import serve

ROWS = '{"input": [[1.0, 2, 3, 4.5]]}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the key of a client, and the entry that `scoring keys` has made for the endpoint."""
    folder = tmp_path_factory.mktemp("ask")
    made = run_scoring("keys", "new", "shop", "--output", "entry")
    assert made.status == 0, made.stderr
    (folder / "keys").mkdir()
    (folder / "keys" / "shop").write_text(made.stdout)
    (folder / "key").write_text(made.stderr.split()[-1])
    (folder / "rows.json").write_text(ROWS)
    return folder


@pytest.fixture(scope="module")
def runtime(folder: Path) -> Iterator[Runtime]:
    """A runtime that asks for a key."""
    runtime = Runtime(
        {
            "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")]),
            "SCORING_MODEL_URI": write_artifact(folder / "model", "Table", example=TABLE_EXAMPLE).as_uri(),
            "SCORING_WORK_DIR": str(folder / "work"),
            "SCORING_TERMINATION_LOG": str(folder / "termination-log"),
            "SCORING_DRAIN_SECONDS": "0",
            "SCORING_API_KEYS_DIR": str(folder / "keys"),
        }
    )
    try:
        runtime.wait_for_log("ready")
        runtime.follow_log()
        runtime.wait_for_server()
        yield runtime
    finally:
        runtime.end()


def ask(runtime: Runtime, folder: Path, *more: object, command: str = "score") -> Outcome:
    url = f"http://127.0.0.1:{runtime.port}"
    return run_scoring(command, "--url", url, "--key-file", folder / "key", "--json", folder / "rows.json", *more)


def test_rows_are_scored_with_a_key_from_a_file(runtime: Runtime, folder: Path) -> None:
    done = ask(runtime, folder, "-o", "json")
    assert done.status == 0, done.stderr
    assert done.json["result"][1].startswith("Computed in")


def test_answer_without_labels_is_printed_as_it_is(runtime: Runtime, folder: Path) -> None:
    done = ask(runtime, folder)
    assert done.status == 0, done.stderr
    assert "[" in done.stdout
    assert "asked at http://127.0.0.1" in done.stderr


def test_key_from_standard_input(runtime: Runtime, folder: Path) -> None:
    url = f"http://127.0.0.1:{runtime.port}"
    key = (folder / "key").read_text()
    done = run_scoring("score", "--url", url, "--key-file", "-", "--json", folder / "rows.json", stdin=key)
    assert done.status == 0, done.stderr


def test_missing_key_is_told_with_the_option_that_gives_one(runtime: Runtime, folder: Path) -> None:
    done = run_scoring("score", "--url", f"http://127.0.0.1:{runtime.port}", "--json", folder / "rows.json")
    assert done.status == 6
    assert "401 Unauthorized" in done.stderr
    assert "--key-file" in done.stderr


def test_wrong_input_is_told_in_the_models_words(runtime: Runtime, folder: Path) -> None:
    url = f"http://127.0.0.1:{runtime.port}"
    done = run_scoring("score", "--url", url, "--key-file", folder / "key", "--text", "hello")
    assert done.status == 6
    assert "400" in done.stderr


def test_key_is_never_printed(runtime: Runtime, folder: Path) -> None:
    key = (folder / "key").read_text()
    outcomes = [
        ask(runtime, folder),
        ask(runtime, folder, "-o", "yaml"),
        ask(runtime, folder, "--text", "both"),
        run_scoring("score", "--url", "http://127.0.0.1:1", "--key-file", folder / "key", "--text", "x"),
    ]
    assert not [one for one in outcomes if key in one.stdout + one.stderr]


def test_hash_in_place_of_the_key_is_told(folder: Path) -> None:
    done = run_scoring("score", "--url", "http://127.0.0.1:1", "--key-file", folder / "keys" / "shop", "--text", "x")
    assert done.status == 2
    assert "hash" in done.stderr


def test_nobody_at_the_address_is_told() -> None:
    done = run_scoring("score", "--url", f"http://127.0.0.1:{find_free_port()}", "--text", "x")
    assert done.status == 6
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("score",), ("score", "-o", "json"), ("load",)])
@pytest.mark.parametrize("body", ['{"status": "ok"}', '{"result": []}', "[]", '"ok"'])
def test_answer_of_something_else_than_a_model_is_told(command: tuple[str, ...], body: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text=body, content_type="application/json")

    async def ask_it() -> Outcome:
        async with serve(answer) as url:
            return await asyncio.to_thread(run_scoring, *command, "--url", url, "--text", "x")

    done = asyncio.run(ask_it())
    assert done.status == 6
    assert "Is the address that of a model?" in done.stderr
    assert body in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--url", "http://a"), "--text, --image and --json"),
        (("--url", "a", "--text", "x"), "http://"),
        (("--text", "x"), "NAME"),
        (("faq", "--url", "http://a", "--text", "x"), "NAME"),
        (("--url", "http://a", "--text", "x", "--key-secret", "s"), "--key-file"),
        (("--url", "http://a", "--image", __file__), "image"),
    ],
)
def test_what_cannot_be_asked_is_told(arguments: tuple[str, ...], said: str) -> None:
    done = run_scoring("score", *arguments)
    assert done.status == 2
    assert said in done.stderr


def test_load_is_measured_and_drawn(runtime: Runtime, folder: Path) -> None:
    plot = folder / "load.svg"
    done = ask(
        runtime, folder, "--concurrency", "1,4", "--duration", "0.3s", "--plot", plot, "-o", "json", command="load"
    )
    assert done.status == 0, done.stderr
    assert [level["clients"] for level in done.json] == [1, 4]
    for level in done.json:
        assert level["answered"] > 10
        assert level["p50_milliseconds"] <= level["p99_milliseconds"]
        assert level["errors"] == {}
    assert plot.read_text().startswith("<?xml")


def test_load_stops_at_the_number_of_requests(runtime: Runtime, folder: Path) -> None:
    done = ask(runtime, folder, "--concurrency", "4", "--duration", "60s", "--max-requests", "20", "-o", "json", command="load")  # fmt: skip
    assert done.status == 0, done.stderr
    assert done.json[0]["answered"] == 20


def test_load_table_names_each_level(runtime: Runtime, folder: Path) -> None:
    done = ask(runtime, folder, "--concurrency", "2", "--duration", "0.2s", command="load")
    assert done.status == 0, done.stderr
    assert "REQUESTS/S" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--concurrency", "0"), "1 to 512"),
        (("--concurrency", "many"), "1 to 512"),
        (("--duration", "5m"), "at most 120 s"),
        (("--duration", "soon"), "no duration"),
        (("--plot", "load.txt"), ".svg"),
        (("--replicas", "1,2"), "NAME"),
    ],
)
def test_load_out_of_bounds_is_refused(runtime: Runtime, folder: Path, options: tuple[str, str], said: str) -> None:
    done = ask(runtime, folder, *options, command="load")
    assert done.status == 2
    assert said in done.stderr


def test_load_whose_first_request_fails_measures_nothing(runtime: Runtime, folder: Path) -> None:
    done = run_scoring("load", "--url", f"http://127.0.0.1:{runtime.port}", "--json", folder / "rows.json")
    assert done.status == 6
    assert "401" in done.stderr
    assert done.stdout == ""
