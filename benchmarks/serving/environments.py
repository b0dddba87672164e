"""Virtual environments of peers and the load generator's program, kept in the cache by the hash of their locks.

They are made outside the tree, below the folder that the project keeps programs and images in.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from benchmarks.serving.errors import EnvironmentFailed
from local_cluster.state import cache_folder

HERE = Path(__file__).parent
PEERS = HERE / "peers"
GENERATOR = HERE / "load"
PYTHON_VERSION = "3.11"

_GENERATOR_PACKAGE = "github.com/tsenart/vegeta/v12"
_MESSAGE_CHARACTERS = 2000
_HASH_CHARACTERS = 12


def find_cache() -> Path:
    """Return the folder that everything is kept in."""
    return cache_folder() / "benchmarks"


def get_environment(lock: Path, name: str) -> Path:
    """Return the Python of the environment that holds just what `lock` pins, made when missing.

    Raises EnvironmentFailed when it cannot be made.
    """
    folder = find_cache() / f"{name}-{_hash_files([lock])}"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        uv = Path(sys.executable).with_name("uv")
        shutil.rmtree(folder, ignore_errors=True)
        _run([uv, "venv", "--quiet", "--python", PYTHON_VERSION, folder])
        _install(python, "--require-hashes", "--requirement", lock)
        complete.touch()
    return python


@cache  # once: what runs already must not lose its files
def get_image_environment(lock: Path, package: Path) -> Path:
    """Return the Python of an environment like that of an image of ours: what `lock` pins, and `package` as it is now.

    Ours in this environment would load what only development needs, such as kopf's second client: 25 MiB and 0.1 s more.
    Raises EnvironmentFailed when it cannot be made.
    """
    python = get_environment(lock, f"{package.name}-{lock.stem}")
    _install(python, "--no-deps", "--reinstall", package)
    return python


def get_generator() -> Path:
    """Return the load generator's program, built from Go modules when missing. Raises EnvironmentFailed."""
    program = find_cache() / f"vegeta-{_hash_files([GENERATOR / 'go.mod', GENERATOR / 'go.sum'])}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program.parent) as folder:
            built = Path(folder, "vegeta")
            _run(["go", "build", "-trimpath", "-o", built, _GENERATOR_PACKAGE], folder=GENERATOR)
            built.replace(program)
    return program


def read_pins(lock: Path) -> dict[str, str]:
    """Return the versions that a lock pins, by package."""
    lines = lock.read_text().splitlines()
    pins = (line.split(" ")[0].partition("==") for line in lines if "==" in line)
    return {name.partition("[")[0]: version for name, _, version in pins}


def _hash_files(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:_HASH_CHARACTERS]


def _install(python: Path, *words: str | Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    _run([uv, "pip", "install", "--quiet", "--python", python, "--compile-bytecode", *words])


def _run(command: Sequence[str | Path], folder: Path | None = None) -> None:
    words = [str(word) for word in command]
    try:
        subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise EnvironmentFailed(f"{words[0]} is not installed here, and is needed for {words[-1]}") from error
    except subprocess.CalledProcessError as error:
        raise EnvironmentFailed(f"{' '.join(words[:3])} failed: {error.stderr[-_MESSAGE_CHARACTERS:]}") from error
