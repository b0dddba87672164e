"""Packs files into an artifact of the serving runtime, and pins a ScoringModel to it. Used by every sample.

The same files give the same bytes, and so the same digest: headers hold no time, no owner and no permissions of this machine.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_URI_LINE = re.compile(r"^(?P<indent> *)uri: .*\n(?: *digest: .*\n)?", re.MULTILINE)


def write_artifact(archive: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes | Path]) -> str:
    """Write a .tar of the manifest and of files and folders by their names in it; return its `sha256:<hex>` digest.

    Half an archive is never left at `archive`, whose folder is made when missing.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_name(f".{archive.name}.unfinished")
    contents: dict[str, bytes | Path] = {"manifest.json": render_json(manifest), **dict(_list_files(files))}
    try:
        with tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name in sorted(contents):
                _add_file(tar, name, contents[name])
        unfinished.replace(archive)
    finally:
        unfinished.unlink(missing_ok=True)
    return compute_digest(archive)


def compute_digest(path: Path) -> str:
    """Return `sha256:<hex>` of a file."""
    with path.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


def write_scoring_model(template: Path, target: Path, digest: str) -> Path:
    """Write the ScoringModel in `template` to `target`, with the digest below the URI."""
    target.write_text(add_digest(template.read_text(encoding="utf-8"), digest), encoding="utf-8")
    return target


def add_digest(manifest: str, digest: str) -> str:
    """Return the ScoringModel's YAML with the digest on the line below the URI, instead of any that stands there."""

    def pin(found: re.Match[str]) -> str:
        uri_line = found[0].splitlines()[0]
        return f"{uri_line}\n{found['indent']}digest: {digest}\n"

    return _URI_LINE.sub(pin, manifest, count=1)


def render_json(value: object) -> bytes:
    """Return the value as indented JSON with a line feed at its end."""
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def _list_files(files: Mapping[str, bytes | Path]) -> Iterator[tuple[str, bytes | Path]]:
    for name, content in files.items():
        if isinstance(content, Path) and content.is_dir():
            for path in sorted(content.rglob("*")):
                if path.is_file():
                    yield f"{name}/{path.relative_to(content).as_posix()}", path
        else:
            yield name, content


def _add_file(tar: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    header = tarfile.TarInfo(name)
    header.mode = 0o644
    if isinstance(content, Path):
        header.size = content.stat().st_size
        with content.open("rb") as file:
            tar.addfile(header, file)
    else:
        header.size = len(content)
        tar.addfile(header, io.BytesIO(content))
