"""The shape of the code: what imports what, how long things are, and what must not lie where."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_clusters import ROOT

PACKAGES = [
    ROOT / "operator" / "src" / "scoring_operator",
    ROOT / "serving_runtime" / "src" / "scoring_runtime",
    ROOT / "cli" / "src" / "scoring_cli",
    ROOT / "local_cluster",
    ROOT / "documentation",
    ROOT / "samples",
    ROOT / "benchmarks",
]
FUNCTION_LINES = 50
FILE_LINES = 300
BUILT = {"build", "dist", "__pycache__"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_functions(path: Path) -> Iterator[Function]:
    """Yield the functions and methods of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def count_lines(function: Function) -> int:
    """Return the lines of a function, its docstring and decorators left out."""
    first = function.body[0]
    has_docstring = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: str(package.relative_to(ROOT)))
def test_functions_are_short(package: Path) -> None:
    long = {
        f"{path.relative_to(ROOT)}:{function.name}": count_lines(function)
        for path in package.rglob("*.py")
        for function in find_functions(path)
        if count_lines(function) > FUNCTION_LINES
    }
    assert not long


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: str(package.relative_to(ROOT)))
def test_files_are_short(package: Path) -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in package.rglob("*.py")}
    assert lengths
    assert not {name: length for name, length in lengths.items() if length > FILE_LINES}


def test_imports_keep_to_their_layers() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_folder_named_operator_does_not_hide_the_standard_library() -> None:
    folder = ROOT / "operator"
    found = [path.relative_to(folder) for path in folder.rglob("*.py")]
    assert found
    assert not [path for path in found if path.parts[0] not in {"src", *BUILT}]
    assert not (folder / "src" / "__init__.py").exists()


def test_tests_are_not_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("module", ["scoring_operator.crds", "documentation"])
def test_generator_that_is_asked_for_help_writes_nothing(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", module, "--help"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answered = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "usage" in answered.stdout
    assert not list(tmp_path.iterdir())
