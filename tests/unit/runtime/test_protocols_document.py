"""docs/protocols.md: every command in it gets the answer that stands below it."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import skops.io
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from local_clusters import ROOT
from runtime_clients import create_service
from scoring_runtime.app import create_app
from scoring_runtime.protocols.grpc_server import GrpcLimits, start_grpc_server
from scoring_runtime.service import ScoringService
from scoring_runtime.settings import Settings
from scoring_runtime.telemetry.metrics import Metrics

TEXT = (ROOT / "docs" / "protocols.md").read_text()
COMMANDS = re.findall(r"```sh\n(curl .*?)```\n```json\n(.*?)```", TEXT, re.DOTALL)
PROGRAMS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
MANIFEST = {
    "name": "iris",
    "version": "1",
    "format": "sklearn",
    "task": "prediction",
    "model": "iris.skops",
    "signature": {
        "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [{"name": "predict", "datatype": "BYTES", "shape": [-1]}],
    },
}

MakeSettings = Callable[..., Settings]


@pytest.fixture(scope="module")
def iris_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("iris")
    iris = load_iris()
    skops.io.dump(
        LogisticRegression(max_iter=500).fit(iris.data, iris.target_names[iris.target]), folder / "iris.skops"
    )
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    return folder


@pytest.fixture
def settings(make_settings: MakeSettings, iris_folder: Path) -> Settings:
    return make_settings(iris_folder.as_uri(), model_name="iris")


@pytest.fixture
def iris(settings: Settings) -> ScoringService:
    return create_service(settings)


@pytest.mark.parametrize(("command", "answer"), COMMANDS, ids=[str(number) for number in range(len(COMMANDS))])
def test_commands_get_the_answer_below_them(
    iris: ScoringService, settings: Settings, command: str, answer: str
) -> None:
    client = create_app(settings, iris, Metrics(iris.batcher)).test_client()
    _, url, *options = shlex.split(command)
    path = url.removeprefix("$URL")
    asked = client.post(path, json=json.loads(options[1])) if options else client.get(path)
    assert options[:1] in ([], ["--json"])
    assert asked.json == json.loads(answer)


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_run_as_they_stand(iris: ScoringService, program: str) -> None:
    server = start_grpc_server(0, iris, Metrics(iris.batcher), GrpcLimits(2**20, 8))
    names: dict[str, Any] = {}
    try:
        exec(program.replace("localhost:8081", f"localhost:{server.port}"), names)
    finally:
        names["client"].close()
        server.stop(0)


def test_the_document_has_commands_and_programs() -> None:
    assert len(COMMANDS) >= 6
    assert PROGRAMS
