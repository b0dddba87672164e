"""What holds for all commands: help, errors without tracebacks, completion, and a start that costs little."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import run_scoring
from scoring_cli.completion import complete_for_kubectl
from scoring_cli.main import COMMANDS, tell_mistake

PROGRAM = Path(sys.executable).with_name("scoring")
HEAVY = ("pydantic", "kubernetes", "rich", "yaml", "aiohttp", "numpy", "sklearn", "torch", "matplotlib")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    done = run_scoring(name, "--help")
    assert done.status == 0, done.stderr
    assert "Usage: scoring" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    code = f"import sys; from scoring_cli.main import scoring; scoring.main(['--help'], standalone_mode=False); print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_is_there_in_less_than_300_milliseconds_of_processor_time() -> None:
    def measure() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([PROGRAM, "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(measure() for _ in range(5)) < 0.3


@pytest.mark.parametrize("arguments", [("nothing",), ("status", "--nothing"), ("score", "--key-file", "/nowhere")])
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    done = run_scoring(*arguments)
    assert done.status == 2
    assert "Error" in done.stderr


def test_no_cluster_is_told_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    done = run_scoring("status")
    assert done.status == 3
    assert "--kubeconfig" in done.stderr
    assert "Traceback" not in done.stderr


def test_kubectl_finds_the_plug_in_beside_the_program() -> None:
    assert PROGRAM.with_name("kubectl-scoring").is_file()
    assert PROGRAM.with_name("kubectl_complete-scoring").is_file()


def test_words_are_completed_for_kubectl(capsys: pytest.CaptureFixture[str]) -> None:
    complete_for_kubectl(["st"])
    assert capsys.readouterr().out.splitlines() == [f"status\t{COMMANDS['status']}", ":4"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_printed(shell: str) -> None:
    done = run_scoring("completion", shell)
    assert done.status == 0
    assert "_SCORING_COMPLETE" in done.stdout


def test_mistake_of_the_program_is_one_line_unless_debugged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_mistake(KeyError, KeyError("x"), None)
    assert "SCORING_DEBUG=1" in capsys.readouterr().err
    monkeypatch.setenv("SCORING_DEBUG", "1")
    tell_mistake(KeyError, KeyError("x"), None)
    assert capsys.readouterr().err.strip() == "KeyError: 'x'"
