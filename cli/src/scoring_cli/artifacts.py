"""Packs files into an artifact of the serving runtime, and reads its manifest again. Used by `package`, `init` and every sample.

The same files give the same bytes, and so the same digest: headers hold no time, no owner and no permissions of this machine.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scoring_runtime.artifacts.archives import unpack_archive
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.artifacts.uris import is_archive_name
from scoring_runtime.bare_models import find_manifest
from scoring_runtime.manifest import FILE_NAME, Manifest


def write_artifact(archive: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes | Path]) -> str:
    """Write a .tar of the manifest and of files and folders by their names in it; return its `sha256:<hex>` digest.

    Half an archive is never left at `archive`, whose folder is made when missing.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_name(f".{archive.name}.unfinished")
    contents: dict[str, bytes | Path] = {FILE_NAME: render_json(manifest), **dict(_list_files(files))}
    headers = [_make_header(name, contents[name]) for name in sorted(contents)]
    try:
        with tarfile.open(unfinished, "w", format=choose_format(headers)) as tar:
            for header in headers:
                _add_file(tar, header, contents[header.name])
        unfinished.replace(archive)
    finally:
        unfinished.unlink(missing_ok=True)
    return compute_digest(archive)


def choose_format(headers: Iterable[tarfile.TarInfo]) -> int:
    """Return tarfile's USTAR, as ever, where it can say all that is in the headers; else PAX, for files of 8 GiB and for long names."""
    try:
        for header in headers:
            header.tobuf(tarfile.USTAR_FORMAT)
    except ValueError:
        return tarfile.PAX_FORMAT
    return tarfile.USTAR_FORMAT


def read_artifact_manifest(path: Path) -> Manifest:
    """Return the manifest of an archive or folder; without one, what the runtime takes from the model, which may be a file by itself.

    Raises LoadError, naming what is wrong with it.
    """
    if path.is_dir():
        return find_manifest(path)
    with TemporaryDirectory() as folder:
        if is_archive_name(path.name):
            unpack_archive(path, Path(folder))
        else:
            Path(folder, path.name).symlink_to(path.resolve())
        return find_manifest(Path(folder))


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


def _make_header(name: str, content: bytes | Path) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.mode = 0o644
    header.size = content.stat().st_size if isinstance(content, Path) else len(content)
    return header


def _add_file(tar: tarfile.TarFile, header: tarfile.TarInfo, content: bytes | Path) -> None:
    with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as file:
        tar.addfile(header, file)
