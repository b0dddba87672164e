"""Archives that the command line writes: the same bytes as ever, and what USTAR cannot say as PAX, which the runtime reads."""

import io
import tarfile
from pathlib import Path

import pytest

from scoring_cli.artifacts import choose_format, render_json, write_artifact
from scoring_runtime.artifacts.archives import unpack_archive

USTAR_BYTES = 8 * 2**30 - 1
"""The longest file whose size USTAR can write down."""


def make_header(name: str, size: int = 1) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size = size
    return header


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (make_header("model.bin", USTAR_BYTES), tarfile.USTAR_FORMAT),
        (make_header("model.bin", USTAR_BYTES + 1), tarfile.PAX_FORMAT),
        (make_header("folder/" * 20 + "model.bin"), tarfile.USTAR_FORMAT),
        (make_header("m" * 101), tarfile.PAX_FORMAT),
        (make_header("Größe.bin"), tarfile.USTAR_FORMAT),
    ],
    ids=["8 GiB less one", "8 GiB", "long path", "long name", "umlaut"],
)
def test_format_is_ustar_where_that_can_say_it(header: tarfile.TarInfo, expected: int) -> None:
    assert choose_format([make_header("manifest.json"), header]) == expected


def test_archive_has_the_bytes_that_ustar_gives(tmp_path: Path) -> None:
    """Digests that models are pinned to stay."""
    files = {"folder/" * 20 + "model.bin": b"weights", "Größe.bin": b"1"}
    expected = io.BytesIO()
    with tarfile.open(fileobj=expected, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted({**files, "manifest.json": render_json({})}.items()):
            header = make_header(name, len(content))
            header.mode = 0o644
            tar.addfile(header, io.BytesIO(content))
    write_artifact(tmp_path / "m.tar", {}, files)
    assert (tmp_path / "m.tar").read_bytes() == expected.getvalue()


def test_archive_that_ustar_cannot_say_is_read_by_the_runtime(tmp_path: Path) -> None:
    name = "m" * 101
    write_artifact(tmp_path / "m.tar", {}, {name: b"weights"})
    unpack_archive(tmp_path / "m.tar", tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / name).read_bytes() == b"weights"


def test_size_that_ustar_cannot_say_is_read_by_the_runtime(tmp_path: Path) -> None:
    """Of a file with a hole instead of weights: the runtime refuses it for its limit, of which it knows once it has read the size."""
    header = make_header("model.bin", USTAR_BYTES + 1)
    with (tmp_path / "m.tar").open("wb") as file:
        file.write(header.tobuf(tarfile.PAX_FORMAT))
        file.truncate(file.tell() + header.size + 2 * tarfile.BLOCKSIZE)
    with pytest.raises(Exception, match="unpacks to more than 8589934591 bytes"):
        unpack_archive(tmp_path / "m.tar", tmp_path / "unpacked", max_bytes=USTAR_BYTES)
