"""What the documents tell a reader to type is there; and every setting is told. Links are for test_documentation_site.py.

Commands stand in fenced blocks marked sh or bash: without a prompt, continued with a backslash.
"""

import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_clusters import ROOT
from scoring_operator.settings import Settings as OperatorSettings
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.settings import Settings as RuntimeSettings

REQUIRED = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "docs/settings.md", "docs/runtime-contract.md")]
DOCUMENTS = sorted({*REQUIRED, *ROOT.glob("docs/**/*.md"), *ROOT.glob("samples/**/*.md"), *ROOT.glob("*.md")})

SHELL_BLOCK = re.compile(r"^```(?:sh|bash|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"^([a-z0-9-]+):", re.MULTILINE)
PROGRAMS = {
    "base64", "cd", "cosign", "curl", "echo", "export", "find", "grep", "helm", "kill", "kubectl", "make", "mktemp", "openssl", "pip", "printf",
    "python", "python3", "scoring", "scoring-runtime", "sort", "xargs",
}  # fmt: skip
"""What a reader has, or a document says how to get."""
SEPARATORS = {"&&", "||", "|", ";", "&"}

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def read_commands(document: Path) -> Iterator[list[str]]:
    """Yield the words of every command in a document's shell blocks."""
    for block in SHELL_BLOCK.findall(document.read_text()):
        # punctuation_chars keeps && and | apart from words. A comment ends after its line feed, so the ; comes after that.
        lexer = shlex.shlex(block.replace("\\\n", " ").replace("\n", "\n; "), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, ";"]:
            if word not in SEPARATORS:
                command.append(word)
            elif command:
                yield command
                command = []


def find_option(command: list[str], *names: str) -> Iterator[str]:
    """Yield the values of an option, written as one word or as two."""
    for word, following in zip(command, [*command[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in names:
            yield value if equals else following


def is_there(document: Path, path: str) -> bool:
    """Tell whether a path exists, seen from the repository's root or from the document; what is built or fetched is not asked for."""
    is_ours = "://" not in path and not path.startswith(("-", "build/", "/", "~", "$"))
    return not is_ours or any((folder / path).exists() for folder in (ROOT, document.parent))


@every_document
def test_make_targets_in_commands_exist(document: Path) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    named = {
        word
        for command in read_commands(document)
        if command[0] == "make"
        for word in command[1:]
        if "=" not in word and not word.startswith("-")
    }
    assert named <= targets


@every_document
def test_programs_in_commands_are_known(document: Path) -> None:
    words = [
        next((word for word in command if "=" not in word and word != "("), "echo")
        for command in read_commands(document)
    ]
    assert not [word for word in words if word not in PROGRAMS and not (ROOT / word).exists()]


@every_document
def test_modules_in_commands_exist(document: Path) -> None:
    commands = [command for command in read_commands(document) if "python" in Path(command[0]).name]
    modules = {module for command in commands for module in find_option(command, "-m")}
    assert not [module for module in modules if importlib.util.find_spec(module) is None]


@every_document
def test_files_in_commands_exist(document: Path) -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"build"}
    named = {
        word
        for command in read_commands(document)
        for word in command
        if "/" in word and "://" not in word and word.partition("/")[0] in folders
    }
    applied = {
        path
        for command in read_commands(document)
        if command[0] in {"kubectl", "helm"}
        for path in find_option(command, "-f", "--filename", "--values")
    }
    written = {path for command in read_commands(document) for path in find_option(command, ">")}
    assert not [path for path in (named | applied) - written if not is_there(document, path)]


@pytest.mark.parametrize("field", OperatorSettings.model_fields)
def test_operators_setting_is_documented(field: str) -> None:
    assert f"`SCORING_OPERATOR_{field.upper()}`" in (ROOT / "docs" / "settings.md").read_text()


@pytest.mark.parametrize("field", RuntimeSettings.model_fields)
def test_runtimes_setting_is_documented(field: str) -> None:
    documents = ("settings.md", "runtime-contract.md")
    assert any(f"`SCORING_{field.upper()}`" in (ROOT / "docs" / name).read_text() for name in documents)


def test_documented_settings_exist() -> None:
    named = set(re.findall(r"`(SCORING_OPERATOR_[A-Z_]+)`", (ROOT / "docs" / "settings.md").read_text()))
    assert named == {f"SCORING_OPERATOR_{field.upper()}" for field in OperatorSettings.model_fields}


def test_documented_commands_print_the_digest_of_a_folder_and_of_a_file(tmp_path: Path) -> None:
    """The commands of docs/artifacts.md, run as they stand there, on names that are awkward to a shell."""
    folder = tmp_path / "faq"
    for name in ("manifest.json", "-rf", "a b/c d.txt", "a-b/x", "a/x", "ä/ß'\"$(id).bin", "empty/.hidden", "Z", "_"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "faq.tar").write_bytes(b"archive")
    lines = [
        line
        for block in SHELL_BLOCK.findall((ROOT / "docs" / "artifacts.md").read_text())
        for line in block.splitlines()
    ]
    for path, beginning in ((folder, "cd faq && echo"), (tmp_path / "faq.tar", 'echo "sha256:$(sha256sum faq.tar')):
        command = next(line for line in lines if line.startswith(beginning))
        done = subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True, text=True)
        assert done.stdout.strip() == compute_digest(path)
