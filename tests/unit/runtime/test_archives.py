"""Damage of archives: a single flipped byte is told as the artifact's, never as the disk's."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from scoring_runtime.archives import unpack_archive
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


def expect_corrupt(archive: Path, content: bytes, folder: Path) -> None:
    archive.write_bytes(content)
    with pytest.raises(ArtifactCorruptError, match=r"^The artifact .* cannot be unpacked: .* Pack it again\.$"):
        unpack_archive(archive, folder)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_flipped_byte_in_a_compressed_tar_is_corrupt(
    tmp_path: Path, folder: Path, compress: Callable[[bytes], bytes], place: float
) -> None:
    content = bytearray(compress(make_tar()))
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
    monkeypatch.setattr("scoring_runtime.archives.FREE_BYTES", 2**21)
    expect_corrupt(tmp_path / "model.tar.gz", gzip.compress(make_tar() + bytes(2**23)), folder)


def test_a_tar_without_its_final_zeros_is_read(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "model.tar").write_bytes(make_tar().rstrip(b"\0").ljust(60_000 + 3 * 512, b"\0"))
    unpack_archive(tmp_path / "model.tar", folder)
    assert (folder / "b").read_bytes() == CONTENT


def test_a_zip_entry_without_a_name_is_corrupt(tmp_path: Path, folder: Path) -> None:
    # Found by fuzzing. What is written at the end is the directory, by which the archive is read.
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as zipped:
        zipped.writestr("a", b"")
        zipped.infolist()[0].filename = ""
    expect_corrupt(tmp_path / "model.zip", (tmp_path / "made.zip").read_bytes(), folder)
