"""The custom sample: packaged by its command, its class loaded from its package, its rules and their checks."""

import json
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import yaml
from typer import Typer
from typer.testing import CliRunner

from local_clusters import ROOT
from runtime_tasks import ask, load_archive
from samples.custom.__main__ import package
from samples.custom.package.plain_text.redactor import MAX_CHARACTERS, RULES, Redactor
from samples.custom.packaging import KINDS
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.errors import InvalidInputError

app = Typer()
app.command()(package)


@pytest.fixture
def packaged(tmp_path: Path) -> dict[str, str]:
    result = CliRunner().invoke(app, ["--output", str(tmp_path), "--output-format", "json"])
    assert result.exit_code == 0, result.output
    printed: dict[str, str] = json.loads(result.stdout)
    return printed


@pytest.fixture
def redactor(tmp_path: Path) -> Redactor:
    (tmp_path / "rules.json").write_text(json.dumps({"kinds": KINDS}))
    made = Redactor()
    made.load(tmp_path)
    return made


def test_digest_is_that_of_the_archive_and_stands_in_the_scoring_model(packaged: dict[str, str]) -> None:
    assert compute_digest(Path(packaged["archive"])) == packaged["digest"]
    assert yaml.safe_load(Path(packaged["scoring_model"]).read_text())["spec"]["model"]["digest"] == packaged["digest"]


def test_class_is_loaded_from_its_package_and_answers(
    packaged: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "samples" / "custom" / "package"))
    task = load_archive(Path(packaged["archive"]), tmp_path / "unpacked")
    assert task.score([["Mail bob@example.org."]]) == [[{"text": "Mail [EMAIL].", "found": {"EMAIL": 1}}]]
    with pytest.raises(InvalidInputError):
        ask(task, 3)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("ann.b+c@mail.example.co.uk wrote", "[EMAIL] wrote"),
        ("card 4111 1111 1111 1111, please", "card [CARD], please"),
        ("order 4111 1111 1111 1112", "order 4111 1111 1111 1112"),
        ("pay to NO93 8601 1117 947 today", "pay to [IBAN] today"),
        ("pay to NO94 8601 1117 947 today", "pay to NO94 8601 1117 947 today"),
        ("from 192.168.0.1 to 300.1.1.1", "from [IP] to 300.1.1.1"),
        ("call +47 22 33 44 55 or 0047-22-33-44-55", "call [PHONE] or [PHONE]"),
        ("version 1.2.3 of 2026-11-25", "version 1.2.3 of 2026-11-25"),
        ("", ""),
    ],
)
def test_findings_are_replaced_and_what_only_looks_alike_is_kept(redactor: Redactor, text: str, redacted: str) -> None:
    assert redactor.redact(text)["text"] == redacted


def test_findings_are_counted(redactor: Redactor) -> None:
    assert redactor.redact("a@b.example, c@d.example, 10.0.0.1")["found"] == {"EMAIL": 2, "IP": 1}


def test_only_the_artifacts_kinds_are_redacted(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text('{"kinds": ["IP"]}')
    redactor = Redactor()
    redactor.load(tmp_path)
    assert redactor.redact("a@b.example at 10.0.0.1")["text"] == "a@b.example at [IP]"


def test_unknown_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text('{"kinds": ["NAME"]}')
    with pytest.raises(ValueError, match="names the kind 'NAME'; there are EMAIL"):
        Redactor().load(tmp_path)


@pytest.mark.parametrize("item", [None, 3, ["text"], "x" * (MAX_CHARACTERS + 1)])
def test_what_is_no_text_of_a_fair_length_is_refused(redactor: Redactor, item: Any) -> None:
    with pytest.raises(InvalidInputError):
        redactor.score([item])


@pytest.mark.parametrize("unit", ["1 ", "a@", "AB12 ", "1.", "+1-", "a.", "9"])
def test_no_text_takes_long(redactor: Redactor, unit: str) -> None:
    started = perf_counter()
    redactor.redact((unit * MAX_CHARACTERS)[:MAX_CHARACTERS])
    assert perf_counter() - started < 5


def test_packaged_kinds_are_all_that_there_are() -> None:
    assert set(KINDS) == set(RULES)
