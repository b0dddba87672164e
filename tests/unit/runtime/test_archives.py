"""Damage of archives: a single flipped byte is told as the artifact's, never as the disk's. And headers made to fill the memory."""

import bz2
import gzip
import io
import lzma
import os
import re
import struct
import subprocess
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scoring_runtime.artifacts.archives import unpack_archive
from scoring_runtime.errors import ArtifactCorruptError

CONTENT = os.urandom(30_000)


def make_tar() -> bytes:
    """Return an uncompressed archive of two files, the second in its second half."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("a", "b"):
            member = tarfile.TarInfo(name)
            member.size = len(CONTENT)
            tar.addfile(member, io.BytesIO(CONTENT))
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    return folder


@pytest.fixture
def memory() -> Iterator[Callable[[], int]]:
    """Yield a function that returns the peak of Python's memory since it was called last."""

    def measure() -> int:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        return peak

    tracemalloc.start()
    yield measure
    tracemalloc.stop()


def expect_corrupt(archive: Path, content: bytes, folder: Path) -> None:
    archive.write_bytes(content)
    with pytest.raises(ArtifactCorruptError, match=r"^The artifact .* cannot be unpacked: .* Pack it again\.$"):
        unpack_archive(archive, folder)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_flipped_byte_in_a_compressed_tar_is_corrupt(tmp_path: Path, folder: Path, place: float) -> None:
    content = bytearray(gzip.compress(make_tar()))
    content[int(len(content) * place)] ^= 1
    expect_corrupt(tmp_path / "model.tar", bytes(content), folder)


def test_a_wrong_checksum_at_the_end_of_a_gzip_is_corrupt(tmp_path: Path, folder: Path) -> None:
    content = bytearray(gzip.compress(make_tar()))
    content[-8] ^= 1
    expect_corrupt(tmp_path / "model.tar.gz", bytes(content), folder)


def test_a_flipped_byte_in_the_header_of_a_later_entry_is_corrupt(tmp_path: Path, folder: Path) -> None:
    content = bytearray(make_tar())
    content[content.index(b"b\0\0\0\0")] ^= 1
    expect_corrupt(tmp_path / "model.tar", bytes(content), folder)


def test_endless_zeros_after_the_last_entry_are_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoring_runtime.artifacts.archives.FREE_BYTES", 2**21)
    expect_corrupt(tmp_path / "model.tar.gz", gzip.compress(make_tar() + bytes(2**23)), folder)


def test_a_tar_without_its_final_zeros_is_read(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "model.tar").write_bytes(make_tar().rstrip(b"\0").ljust(60_000 + 3 * 512, b"\0"))
    unpack_archive(tmp_path / "model.tar", folder)
    assert (folder / "b").read_bytes() == CONTENT


def label_as_zstandard(content: bytes) -> bytes:
    """Return what begins as Zstandard's frames do: Python 3.11 has no compressor for it."""
    return b"\x28\xb5\x2f\xfd" + content


@pytest.mark.parametrize(
    ("compress", "method"), [(bz2.compress, "bzip2"), (lzma.compress, "xz"), (label_as_zstandard, "zstd")]
)
def test_a_tar_that_says_how_much_memory_unpacking_takes_is_refused(
    tmp_path: Path, folder: Path, compress: Callable[[bytes], bytes], method: str
) -> None:
    (tmp_path / "model.tar").write_bytes(compress(make_tar()))
    with pytest.raises(ArtifactCorruptError, match=f"compressed by {method}: compress it with gzip, or not at all"):
        unpack_archive(tmp_path / "model.tar", folder)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_says_how_much_memory_unpacking_takes_is_refused(tmp_path: Path, folder: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w", method) as zipped:
        zipped.writestr("a", CONTENT)
    with pytest.raises(ArtifactCorruptError, match="'a' is compressed by another method than deflate"):
        unpack_archive(tmp_path / "model.zip", folder)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_of_the_usual_methods_is_read(tmp_path: Path, folder: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w", method) as zipped:
        zipped.writestr("a", CONTENT)
    unpack_archive(tmp_path / "model.zip", folder)
    assert (folder / "a").read_bytes() == CONTENT


def write_long_directory(archive: Path) -> None:
    """Write a zip of empty files whose directory takes some 17 MB."""
    with zipfile.ZipFile(archive, "w") as zipped:
        for number in range(2**24 // 2**16 + 1):
            entry = zipfile.ZipInfo(f"{number}")
            entry.comment = b"a" * (2**16 - 1)
            zipped.writestr(entry, b"")


def test_a_zip_with_a_directory_that_would_fill_the_memory_is_refused(
    tmp_path: Path, folder: Path, memory: Callable[[], int]
) -> None:
    write_long_directory(tmp_path / "model.zip")
    memory()
    with pytest.raises(ArtifactCorruptError, match="directory of entries takes more than 16777216 bytes"):
        unpack_archive(tmp_path / "model.zip", folder)
    assert memory() < 2**23


def test_a_zip_entry_without_a_name_is_corrupt(tmp_path: Path, folder: Path) -> None:
    # Found by fuzzing. What is written at the end is the directory, by which the archive is read.
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as zipped:
        zipped.writestr("a", b"")
        zipped.infolist()[0].filename = ""
    expect_corrupt(tmp_path / "model.zip", (tmp_path / "made.zip").read_bytes(), folder)


def write_header(kind: bytes, size: int, name: str = "a") -> bytes:
    """Return the header of an entry of any type; a negative size is written as GNU's base-256 numbers are."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, max(size, 0)
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    if size < 0:
        header[124:136] = b"\xff" * 4 + struct.pack(">q", size)
        header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    return bytes(header)


def write_block(kind: bytes, content: bytes) -> bytes:
    return write_header(kind, len(content)) + content.ljust(-len(content) % 512 + len(content), b"\0")


def write_record(keyword: str, value: str) -> bytes:
    """Return one record of a pax header, of at least 1,000 bytes."""
    rest = f" {keyword}={value}\n".encode()
    length = next(digits + len(rest) for digits in range(1, 9) if len(str(digits + len(rest))) == digits)
    return str(length).encode() + rest


FILE = write_header(tarfile.REGTYPE, 0)
MAP_IN_THE_CONTENT = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"


def write_sparse_map(blocks: int) -> bytes:
    """Return a GNU sparse entry whose map goes on for a number of blocks."""
    header = bytearray(write_header(tarfile.GNUTYPE_SPARSE, 0))
    header[482] = 1
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    block = b"00000000001\0" * 42
    return bytes(header) + (block + b"\1" + bytes(7)) * blocks + block + bytes(8)


@pytest.mark.parametrize(
    "headers",
    [
        write_block(tarfile.GNUTYPE_LONGNAME, b"a" * 2**21),
        write_block(tarfile.GNUTYPE_LONGLINK, b"a" * 2**21),
        write_block(tarfile.XHDTYPE, write_record("comment", "a" * 2**21)),
        write_block(tarfile.XGLTYPE, write_record("comment", "a" * 2**21)),
        write_block(tarfile.SOLARIS_XHDTYPE, write_record("comment", "a" * 2**21)),
        write_block(tarfile.GNUTYPE_LONGNAME, b"a" * 2**19) * 3,
        write_header(tarfile.GNUTYPE_LONGNAME, -512) + bytes(2**21),
        write_header(tarfile.XHDTYPE, -512) + bytes(2**21),
        write_sparse_map(2**12),
        write_block(tarfile.XHDTYPE, MAP_IN_THE_CONTENT) + write_block(tarfile.REGTYPE, b"300000\n" + b"0\n" * 2**20),
    ],
    ids=["name", "link", "pax", "global", "solaris", "chain", "all", "all-pax", "sparse", "sparse-1.0"],
)
@pytest.mark.parametrize("place", ["first", "later"])
def test_a_header_that_would_fill_the_memory_is_refused(
    tmp_path: Path, folder: Path, memory: Callable[[], int], headers: bytes, place: str
) -> None:
    archive = tmp_path / "model.tar.gz"
    before = b"" if place == "first" else write_header(tarfile.REGTYPE, 0, "b")
    archive.write_bytes(gzip.compress(before + headers + FILE + bytes(1024)))
    memory()
    with pytest.raises(ArtifactCorruptError, match="more than 1048576 bytes of names and attributes"):
        unpack_archive(archive, folder)
    assert memory() < 2**23


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_headers_of_many_entries_do_not_pile_up(
    tmp_path: Path, folder: Path, memory: Callable[[], int], kind: bytes
) -> None:
    entries = (
        write_block(kind, write_record(f"note{number}", "a" * 2**19)) + write_header(tarfile.REGTYPE, 0, f"{number}")
        for number in range(40)
    )
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(gzip.compress(b"".join(entries) + bytes(1024)))
    memory()
    unpack_archive(archive, folder)
    assert memory() < 2**23
    assert len(list(folder.iterdir())) == 40


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_long_path_and_attributes_of_a_file_system_are_read(tmp_path: Path, folder: Path, format_: int) -> None:
    name = "/".join(["n" * 200] * 8)
    member = tarfile.TarInfo(name)
    member.pax_headers = {"SCHILY.xattr.user.note": "a" * 2**18}
    with tarfile.open(tmp_path / "model.tar", "w", format=format_) as tar:
        tar.addfile(member)
    unpack_archive(tmp_path / "model.tar", folder)
    assert (folder / name).is_file()


@pytest.mark.parametrize(
    "options",
    [["gnu"], ["posix", "--sparse-version=0.0"], ["posix", "--sparse-version=0.1"], ["posix", "--sparse-version=1.0"]],
    ids=lambda options: "-".join(re.findall(r"[a-z0-9.]+$", options[-1])),
)
def test_a_file_with_holes_is_read(tmp_path: Path, folder: Path, options: list[str]) -> None:
    with (tmp_path / "holes").open("wb") as file:
        for number in range(40):
            file.seek(number * 2**16)
            file.write(b"x" * 4096)
    archive = tmp_path / "model.tar"
    kind, *more = options
    subprocess.run(["tar", "-cSf", archive, f"--format={kind}", *more, "-C", tmp_path, "holes"], check=True)
    assert archive.stat().st_size < 2**20
    unpack_archive(archive, folder)
    assert (folder / "holes").read_bytes() == (tmp_path / "holes").read_bytes()


@pytest.mark.parametrize("by", ["header", "pax"])
def test_an_entry_of_a_negative_size_is_corrupt(tmp_path: Path, folder: Path, by: str) -> None:
    # It would be counted off what the archive may unpack to, and lead back to entries that were read already.
    pax = write_block(tarfile.XHDTYPE, b"13 size=-512\n") + FILE
    entry = write_header(tarfile.REGTYPE, -512) if by == "header" else pax
    before = write_header(tarfile.REGTYPE, 0, "b") + write_header(tarfile.REGTYPE, 0, "c")
    expect_corrupt(tmp_path / "model.tar", before + entry + bytes(1024), folder)
