"""Names an image after what goes into it: the Dockerfile, its build arguments and the files that it copies."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from string import Template

from local_cluster.errors import ImageNotBuilt

TAG_LENGTH = 12
IGNORED_FOLDERS = {"__pycache__", ".git", ".venv", "build", "dist"}
IGNORED_ENDINGS = (".pyc", ".egg-info")


def content_tag(dockerfile: Path, context: Path, arguments: Mapping[str, str]) -> str:
    """Twelve hexadecimal digits that change exactly when an input of the image does; ImageNotBuilt when one is missing."""
    digest = hashlib.sha256()
    text = _read(dockerfile)
    digest.update(text.encode())
    digest.update(json.dumps(dict(sorted(arguments.items()))).encode())
    for path in sorted(set(_input_files(text, context, arguments))):
        digest.update(f"\0{path.relative_to(context)}\0{path.stat().st_mode & 0o111:o}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:TAG_LENGTH]


def _read(dockerfile: Path) -> str:
    try:
        return dockerfile.read_text()
    except OSError as error:
        raise ImageNotBuilt(f"there is no Dockerfile {dockerfile}: {error.strerror}") from error


def _input_files(text: str, context: Path, arguments: Mapping[str, str]) -> Iterator[Path]:
    for source in copied_sources(text, arguments):
        found = [path for path in context.glob(source.strip("/") or "*") if not _is_ignored(path)]
        if not found:
            raise ImageNotBuilt(f"the Dockerfile copies {source}, which is not in {context}")
        for path in found:
            yield from _files_below(path)


def _files_below(path: Path) -> Iterable[Path]:
    if path.is_file():
        return [path]
    return (file for file in path.rglob("*") if file.is_file() and not any(map(_is_ignored, _up_to(file, path))))


def _up_to(file: Path, top: Path) -> list[Path]:
    return [file, *(parent for parent in file.parents if parent.is_relative_to(top))]


def _is_ignored(path: Path) -> bool:
    return path.name in IGNORED_FOLDERS or path.name.endswith(IGNORED_ENDINGS)


def copied_sources(text: str, arguments: Mapping[str, str]) -> list[str]:
    """What a Dockerfile's COPY and ADD instructions take from the build context, with build arguments filled in."""
    values: dict[str, str] = {}
    sources = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        words = line.split()
        if words and words[0].upper() == "ARG":
            name, _, default = words[1].partition("=")
            values[name] = arguments.get(name, default.strip("\"'"))
        elif words and words[0].upper() in ("COPY", "ADD"):
            sources += [Template(source).safe_substitute(values) for source in _context_sources(line)]
    return sources


def _context_sources(line: str) -> list[str]:
    words = line.split()[1:]
    options = [word for word in words if word.startswith("--")]
    if any(option.startswith("--from=") for option in options):
        return []  # From another stage or image, not from the context.
    rest = words[len(options) :]
    if rest and rest[0].startswith("["):
        rest = json.loads(" ".join(rest))
    return [word for word in rest[:-1] if not word.startswith(("http://", "https://", "<<"))]
