"""Unpacking of .tar, .tar.gz, .tgz and .zip artifacts: files and folders only, inside one folder. Used by retrieval.py.

Compressed by deflate or not at all: other methods let an archive say how much memory unpacking it takes.

Entries are copied one by one instead of extracted by tarfile, so that no mode, owner, link or device of an archive is
ever applied.
"""

import io
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from scoring_runtime.errors import ArtifactCorruptError, ArtifactTooLargeError, LoadError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
MAX_ENTRIES = 100_000
MAX_HEADER_BYTES = 2**20
MAX_DIRECTORY_BYTES = 2**24
GZIP_MAGIC = b"\x1f\x8b"
COMPRESSED_MAGICS = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
# Weights hardly shrink and text shrinks some ten times, so more than this is an archive made to fill the disk.
MAX_RATIO = 100
FREE_BYTES = 2**30

# What the standard library raises on damaged or unsupported archives. RuntimeError: an encrypted zip; IndexError: an entry without a name.
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    IndexError,
    NotImplementedError,
    ValueError,
)


@dataclass(frozen=True)
class _Entry:
    """One file or folder of an archive; `open_content` is None for a folder."""

    name: str
    size_bytes: int
    open_content: Callable[[], IO[bytes] | None] | None


def unpack_archive(archive: Path, folder: Path, max_bytes: int | None = None) -> None:
    """Unpack `archive` into the empty folder `folder`, to at most `max_bytes` bytes.

    Raises ArtifactCorruptError, ArtifactTooLargeError; errors of the disk stay OSError.
    """
    limit = max(FREE_BYTES, MAX_RATIO * archive.stat().st_size)
    if max_bytes is not None and max_bytes < limit:
        return _unpack(archive, folder, max_bytes, ArtifactTooLargeError)
    return _unpack(archive, folder, limit, ArtifactCorruptError)


def _unpack(archive: Path, folder: Path, limit: int, refusal: type[LoadError]) -> None:
    try:
        with closing(_read_entries(archive)) as entries:
            _write_entries(entries, folder, limit, refusal)
    except _DAMAGED as error:
        raise _explain_damage(archive, error) from error
    except OSError as error:
        # gzip and bzip2 tell damage by an OSError; one of the disk has a number.
        if error.errno is not None:
            raise
        raise _explain_damage(archive, error) from error


def _write_entries(entries: Iterator[_Entry], folder: Path, limit_bytes: int, refusal: type[LoadError]) -> None:
    total_bytes = 0
    for number, entry in enumerate(entries, start=1):
        total_bytes += entry.size_bytes
        if number > MAX_ENTRIES:
            raise ArtifactCorruptError(f"The artifact holds more than {MAX_ENTRIES} entries: pack fewer files.")
        if total_bytes > limit_bytes:
            raise refusal(
                f"The artifact unpacks to more than {limit_bytes} bytes: give the unpacked files as a folder, or raise "
                "spec.model.sizeLimit."
            )
        _write_entry(entry, folder)


def _write_entry(entry: _Entry, folder: Path) -> None:
    target = _find_target(folder, entry.name)
    try:
        if entry.open_content is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy_content(entry.open_content(), target)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise _refuse(entry.name, "its name is in the archive twice") from error


def _copy_content(content: IO[bytes] | None, target: Path) -> None:
    if content is None:
        raise ValueError("an entry has no content")
    with content, target.open("xb") as file:
        shutil.copyfileobj(content, file, 2**20)


def _find_target(folder: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise _refuse(name, "its path leaves the folder")
    return folder / path


def _read_entries(archive: Path) -> Generator[_Entry, None, None]:
    if archive.name.lower().endswith(TAR_SUFFIXES):
        return _read_tar(archive)
    return _read_zip(archive)


class _HeaderReader:
    """A tar's stream while the header of one entry is read: it gives MAX_HEADER_BYTES and no more."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = MAX_HEADER_BYTES

    def read(self, size: int) -> bytes:
        # tarfile takes a negative size over from the archive; reading that many would be reading all.
        if not 0 <= size <= self._left:
            raise ArtifactCorruptError(
                f"The artifact has an entry with more than {MAX_HEADER_BYTES} bytes of names and attributes: pack it "
                "again without them."
            )
        self._left -= size
        return self._stream.read(size)

    def tell(self) -> int:
        return self._stream.tell()


class _BoundedMember(tarfile.TarInfo):
    """An entry whose header is bounded, with all that belongs to it: long names, pax headers, maps of sparse files.

    tarfile reads those whole into memory, whatever size they say, before there is an entry that a limit could see.
    """

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        stream: Any = tarfile.fileobj
        # Called again from within, for the header that follows one that belongs to it.
        if isinstance(stream, _HeaderReader):
            return super().fromtarfile(tarfile)
        reader: Any = _HeaderReader(stream)
        tarfile.fileobj = reader
        try:
            return super().fromtarfile(tarfile)
        finally:
            tarfile.fileobj = stream


def _read_tar(archive: Path) -> Generator[_Entry, None, None]:
    with _open_tar(archive) as tar:
        while (member := tar.next()) is not None:
            # What tarfile keeps of each entry, and pax headers for all that follow, would pile up. The latter say nothing
            # that is applied here.
            tar.members.clear()  # type: ignore[attr-defined]
            tar.pax_headers = {}
            if member.size < 0:
                raise tarfile.ReadError("an entry has a negative size")
            if member.isdir():
                yield _Entry(member.name, 0, None)
            elif member.isreg():
                yield _Entry(member.name, member.size, partial(tar.extractfile, member))
            else:
                raise _refuse(member.name, "it is a link or a device")
        _read_to_end(tar)


def _open_tar(archive: Path) -> tarfile.TarFile:
    with archive.open("rb") as file:
        start = file.read(8)
    if start.startswith(GZIP_MAGIC):
        return tarfile.open(archive, "r:gz", tarinfo=_BoundedMember)
    for magic, method in COMPRESSED_MAGICS.items():
        if start.startswith(magic):
            raise ArtifactCorruptError(
                f"The artifact {archive.name} is compressed by {method}: compress it with gzip, or not at all."
            )
    return tarfile.open(archive, "r:", tarinfo=_BoundedMember)


def _read_to_end(tar: tarfile.TarFile) -> None:
    """Check what follows the last entry: tarfile stops there, before the checksum of a compressed stream."""
    stream = tar.fileobj
    if stream is None:
        raise ValueError("it has no content")
    stream.seek(tar.offset)
    # tarfile takes a header that it cannot read for the end, which is of zeros.
    if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError("an entry's header is damaged")
    left = FREE_BYTES
    while chunk := stream.read(2**20):
        left -= len(chunk)
        if left < 0:
            raise tarfile.ReadError("it goes on after its last entry")


class _ZipReader(io.BufferedReader):
    """A zip's file. zipfile reads the directory at its end at once, whatever size it says; the rest it reads in pieces."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise ArtifactCorruptError(
                f"The artifact's directory of entries takes more than {MAX_DIRECTORY_BYTES} bytes: pack fewer files."
            )
        return super().read(size)


def _read_zip(archive: Path) -> Generator[_Entry, None, None]:
    with _ZipReader(archive.open("rb", buffering=0)) as file, zipfile.ZipFile(file) as zipped:
        for member in zipped.infolist():
            # The upper half of the attributes is the Unix mode, zero where another system made the archive.
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ArtifactCorruptError(
                    f"The artifact's entry {member.filename[:200]!r} is compressed by another method than deflate: pack "
                    "it again with zip's own."
                )
            if member.is_dir():
                yield _Entry(member.filename, 0, None)
            elif kind in (0, stat.S_IFREG):
                yield _Entry(member.filename, member.file_size, partial(zipped.open, member))
            else:
                raise _refuse(member.filename, "it is a link or a device")


def _explain_damage(archive: Path, error: Exception) -> ArtifactCorruptError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ArtifactCorruptError(f"The artifact {archive.name} cannot be unpacked: {reason}. Pack it again.")


def _refuse(name: str, reason: str) -> ArtifactCorruptError:
    return ArtifactCorruptError(
        f"The artifact's entry {name[:200]!r} is refused: {reason}. Pack only files and folders."
    )
