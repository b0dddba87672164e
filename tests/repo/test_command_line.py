"""docs/command-line.md tells of every command and exit status, and what it shows works."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from command_line import run_scoring
from local_clusters import ROOT
from scoring_cli import errors
from scoring_cli.main import COMMANDS, scoring
from scoring_operator.kinds import DEPLOYMENT

PAGE = ROOT / "docs" / "command-line.md"
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("samples/**/*.md")])
TRAIN = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

pipeline = LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True))
"""


def read_commands(document: Path) -> Iterator[list[str]]:
    """Yield the words of each `scoring` command in a document's shell blocks, what follows a | or > left out."""
    for block in document.read_text().split("```sh\n")[1:]:
        for line in block.partition("```")[0].replace("\\\n", " ").splitlines():
            command = line.removeprefix("kubectl ")
            if command.startswith("scoring "):
                words = shlex.split(command, comments=True)
                ends = [number for number, word in enumerate(words) if word in {"|", ">"}]
                yield words[1 : min(ends, default=len(words))]


COMMANDS_SHOWN = [(path, words) for path in DOCUMENTS for words in read_commands(path)]


@pytest.mark.parametrize(
    ("document", "words"), COMMANDS_SHOWN, ids=lambda part: part.name if isinstance(part, Path) else " ".join(part)[:40]
)
def test_options_of_a_shown_command_exist(document: Path, words: list[str]) -> None:
    del document
    command: click.Command = scoring
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, words
        command, words = found, words[1:]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    assert {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"} <= known


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_a_section(name: str) -> None:
    headings = [line for line in PAGE.read_text().splitlines() if line.startswith("## scoring ")]
    assert f"## scoring {name}" in headings or name == "completion"


def test_exit_statuses_are_told() -> None:
    kinds = [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.CommandError)
    ]
    statuses = {kind.exit_status for kind in kinds} | {0, errors.INTERRUPTED}
    rows = [line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert statuses == {int(row) for row in rows if row.isdecimal()}


def test_shown_way_from_a_trained_model_to_its_children_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(TRAIN)
    Path("example.json").write_text('{"input": [[5.1, 3.5, 1.4, 0.2]]}')
    package, init = (
        next(words for document, words in COMMANDS_SHOWN if document == PAGE and words[0] == name)
        for name in ("package", "init")
    )
    done = run_scoring(*package)
    assert done.status == 0, done.stderr
    assert "answers as expected" in done.stdout
    done = run_scoring(*init)
    assert done.status == 0, done.stderr
    Path("churn.yaml").write_text(done.stdout)
    done = run_scoring("render", "churn.yaml")
    assert done.status == 0, done.stderr
    assert DEPLOYMENT.name in {body["kind"] for body in yaml.safe_load_all(done.stdout)}
