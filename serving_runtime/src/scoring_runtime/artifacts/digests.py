"""Digests of artifacts: of a file as sha256sum prints it, of a folder that of the list of its files with their sums.

The list is the text that sha256sum prints, sorted by the bytes of the paths, so that anyone can compute it by one command:
docs/artifacts.md has it, and a test runs it. Used by retrieval.py.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scoring_runtime.errors import ArtifactCorruptError

PREFIX = "sha256:"
# sha256sum would escape these in what it prints, and no artifact needs them.
_REFUSED = set("\\\n\r")


def compute_digest(path: Path) -> str:
    """Return `sha256:<hex>` of a file's bytes, or of a folder's listing. Raises ArtifactCorruptError for links and devices."""
    if path.is_file():
        return PREFIX + hash_file(path)
    return PREFIX + hashlib.sha256(render_listing(hash_files(path))).hexdigest()


def hash_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of a folder by its path in it."""
    names = [file.relative_to(folder).as_posix() for file in list_files(folder)]
    # hashlib lets other threads run, and the kernel reads ahead for each of them.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return dict(zip(names, pool.map(lambda name: hash_file(folder / name), names), strict=True))


def render_listing(hashes: Mapping[str, str]) -> bytes:
    """Return the text whose sha256 is a folder's digest: one line per file, sorted by the bytes of the paths."""
    names = sorted(hashes, key=os.fsencode)
    return b"".join(b"%s  %s\n" % (hashes[name].encode(), os.fsencode(name)) for name in names)


def hash_file(path: Path) -> str:
    """Return the sha256 of a file's bytes in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_files(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder. Raises ArtifactCorruptError for what is neither file nor folder, or has a bad name."""
    for parent, folders, files in os.walk(folder, onerror=_raise):
        for name in [*folders, *files]:
            path = Path(parent, name)
            shown = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if set(name) & _REFUSED:
                raise ArtifactCorruptError(f"{shown!r} in the artifact has a \\ or a line end in its name: rename it.")
            if stat.S_ISREG(mode):
                yield path
            elif not stat.S_ISDIR(mode):
                raise ArtifactCorruptError(
                    f"{shown!r} in the artifact is a link or a device: put files and folders there only."
                )


def _raise(error: OSError) -> None:
    raise error
