"""Packs files into an artifact of the serving runtime, and reads its manifest again. Used by `package`, `init` and every sample.

The same files give the same bytes, and so the same digest: headers hold no time, no owner and no permissions of this machine.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scoring_runtime.archives import unpack_archive
from scoring_runtime.digests import compute_digest
from scoring_runtime.manifest import FILE_NAME, Manifest, read_manifest


def write_artifact(archive: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes | Path]) -> str:
    """Write a .tar of the manifest and of files and folders by their names in it; return its `sha256:<hex>` digest.

    Half an archive is never left at `archive`, whose folder is made when missing.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_name(f".{archive.name}.unfinished")
    contents: dict[str, bytes | Path] = {FILE_NAME: render_json(manifest), **dict(_list_files(files))}
    try:
        with tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name in sorted(contents):
                _add_file(tar, name, contents[name])
        unfinished.replace(archive)
    finally:
        unfinished.unlink(missing_ok=True)
    return compute_digest(archive)


def read_artifact_manifest(path: Path) -> Manifest:
    """Return the manifest of an archive or folder. Raises LoadError, naming what is wrong with it."""
    if path.is_dir():
        return read_manifest(path)
    with TemporaryDirectory() as folder:
        unpack_archive(path, Path(folder))
        return read_manifest(Path(folder))


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
