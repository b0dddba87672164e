"""Finding, verifying and unpacking artifacts: digests as sha256sum gives them, and every refusal."""

import errno
import hashlib
import io
import os
import subprocess
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring_runtime.artifacts.archives import unpack_archive
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.artifacts.retrieval import fetch_artifact, require_digest
from scoring_runtime.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    DigestMismatchError,
    DigestRequiredError,
    FetchFailedError,
    InvalidSettingsError,
)

FILES = {"manifest.json": b"{}", "a-b/c.txt": b"c", "a/b.txt": b"b", "a.txt": b"", "ä b.txt": b"x" * 100_000}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def run_shell(command: str, folder: Path) -> str:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_the_digest_of_a_file_is_its_sha256sum(folder: Path) -> None:
    printed = run_shell("sha256sum manifest.json", folder).split()[0]
    assert compute_digest(folder / "manifest.json") == f"sha256:{printed}"


def test_the_digest_of_a_folder_is_that_of_its_sha256sum_listing(folder: Path) -> None:
    command = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum"
    assert compute_digest(folder) == f"sha256:{run_shell(command, folder).split()[0]}"


@pytest.mark.parametrize("change", ["content", "name", "extra"])
def test_the_digest_of_a_folder_follows_every_change(folder: Path, change: str) -> None:
    before = compute_digest(folder)
    if change == "content":
        (folder / "a.txt").write_text("now full")
    elif change == "name":
        (folder / "a.txt").rename(folder / "z.txt")
    else:
        (folder / "new.txt").write_text("")
    assert compute_digest(folder) != before


def test_an_artifact_with_its_digest_is_used_in_place(folder: Path, make_settings: Any) -> None:
    artifact = fetch_artifact(make_settings(folder.as_uri(), model_digest=compute_digest(folder)))

    assert artifact.path == folder
    assert artifact.size_bytes == sum(len(content) for content in FILES.values())


def test_a_claim_is_found_under_the_volume(folder: Path, make_settings: Any) -> None:
    artifact = fetch_artifact(make_settings("pvc://models/folder", volume_dir=folder.parent))
    assert artifact.path == folder
    assert fetch_artifact(make_settings("pvc://models", volume_dir=folder)).path == folder


def test_another_digest_is_a_mismatch_that_names_both(folder: Path, make_settings: Any) -> None:
    wrong = "sha256:" + "ab" * 32
    with pytest.raises(DigestMismatchError) as caught:
        fetch_artifact(make_settings(folder.as_uri(), model_digest=wrong))
    assert caught.value.message == (
        f"The artifact's digest is {compute_digest(folder)}, but {wrong} was given. If the new artifact is meant, correct "
        "spec.model.digest; if not, find out who changed it."
    )


def test_nothing_is_unpacked_before_the_digest_is_verified(tmp_path: Path, make_settings: Any) -> None:
    (tmp_path / "model.tar").write_bytes(b"anything")
    settings = make_settings((tmp_path / "model.tar").as_uri(), model_digest="sha256:" + "0" * 64)
    with pytest.raises(DigestMismatchError):
        fetch_artifact(settings)
    assert not settings.work_dir.exists()


@pytest.mark.parametrize("uri", ["file:///no/such/model", "pvc://claim/no/such/model"])
def test_a_missing_artifact_is_not_found(make_settings: Any, tmp_path: Path, uri: str) -> None:
    settings = make_settings(uri, volume_dir=tmp_path)
    with pytest.raises(ArtifactNotFoundError, match=f"^Nothing at {uri} .* Correct spec.model.uri.$"):
        fetch_artifact(settings)


@pytest.mark.parametrize("marker", ["saved_model.pb", "MLmodel"])
def test_a_folder_that_can_run_code_needs_a_digest(tmp_path: Path, marker: str) -> None:
    require_digest(tmp_path, None)
    (tmp_path / marker).write_text("")
    with pytest.raises(DigestRequiredError, match="can run code when it is loaded, so it needs a digest"):
        require_digest(tmp_path, None)
    require_digest(tmp_path, "sha256:" + "0" * 64)


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".joblib", ".pt", ".pth", ".pt2", ".ts", ".keras", ".PKL"])
def test_a_file_that_can_run_code_needs_a_digest_before_it_is_touched(make_settings: Any, suffix: str) -> None:
    with pytest.raises(DigestRequiredError) as caught:
        fetch_artifact(make_settings(f"file:///no/such/model{suffix}"))
    assert caught.value.message == (
        f"model{suffix} can run code when it is loaded, so it needs a digest: set spec.model.digest, or save the model as "
        ".skops, .safetensors or .onnx."
    )


@pytest.mark.parametrize(
    "uri",
    [
        "http://host/model.tar",
        "s3://bucket/model?x",
        "s3:///model",
        "abfs://account.dfs.core.windows.net/model",
        "oci://registry.example.com",
        "hf://organisation",
        "hf://user@organisation/name",
        "gs://bucket/a/../b",
        "model.tar",
        "/models/faq",
        "file://host/model",
        "file:relative",
        "pvc:///path",
        "https:///path",
        "pvc://claim/../../etc/passwd",
        "pvc://claim/%2e%2e/etc/passwd",
        "file:///models/%00",
        "https://[broken/path",
        "",
    ],
)
def test_a_uri_that_cannot_be_used_is_an_invalid_setting(make_settings: Any, uri: str) -> None:
    with pytest.raises(
        InvalidSettingsError, match=r"^SCORING_MODEL_URI cannot be used: .*oci://registry/repository:tag\.$"
    ):
        fetch_artifact(make_settings(uri))


def test_links_and_devices_in_a_folder_are_refused(folder: Path, make_settings: Any) -> None:
    (folder / "secret").symlink_to("/etc/passwd")
    with pytest.raises(ArtifactCorruptError, match="'secret' in the artifact is a link or a device"):
        fetch_artifact(make_settings(folder.as_uri()))
    (folder / "secret").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(ArtifactCorruptError, match="'pipe' in the artifact"):
        fetch_artifact(make_settings(folder.as_uri()))


def write_tar(path: Path, mode: str, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def write_zip(path: Path, names: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in names.items():
            zipped.writestr(name, content)
    return path


def pack(folder: Path, kind: str) -> Path:
    archive = folder.parent / f"model{kind}"
    if kind == ".zip":
        return write_zip(archive, FILES)
    flag = "z" if kind != ".tar" else ""
    run_shell(f"tar c{flag}f ../model{kind} .", folder)
    return archive


@pytest.mark.parametrize("kind", [".tar", ".tar.gz", ".tgz", ".zip"])
def test_an_archive_is_unpacked_and_its_digest_is_of_the_archive(folder: Path, make_settings: Any, kind: str) -> None:
    archive = pack(folder, kind)
    settings = make_settings(archive.as_uri(), model_digest=compute_digest(archive))
    artifact = fetch_artifact(settings)

    assert artifact.digest == compute_digest(archive)
    assert artifact.size_bytes == archive.stat().st_size
    assert compute_digest(artifact.path) == compute_digest(folder)

    # After a restart of the container the work folder still holds the last run's files.
    (artifact.path / "left over").write_text("")
    assert compute_digest(fetch_artifact(settings).path) == compute_digest(folder)


BAD_NAMES = ["/etc/passwd", "../outside", "a/../../outside", "a\\..\\outside", ".."]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("kind", [".tar", ".zip"])
def test_an_entry_outside_the_folder_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    archive = tmp_path / f"model{kind}"
    if kind == ".zip":
        write_zip(archive, {name: b"x"})
    else:
        write_tar(archive, "w", [(tarfile.TarInfo(name), b"x")])
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(ArtifactCorruptError) as caught:
        unpack_archive(archive, target)
    assert caught.value.message == (
        f"The artifact's entry {name!r} is refused: its path leaves the folder. Pack only files and folders."
    )
    assert not list(target.iterdir())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("entry")
    member.type, member.linkname = kind, "/etc/passwd"
    archive = write_tar(tmp_path / "model.tar", "w", [(member, b"")])
    with pytest.raises(ArtifactCorruptError, match="entry 'entry' is refused: it is a link or a device"):
        unpack_archive(archive, tmp_path)


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as zipped:
        zipped.writestr(link, "/etc/passwd")
    with pytest.raises(ArtifactCorruptError, match="entry 'link' is refused: it is a link or a device"):
        unpack_archive(tmp_path / "model.zip", tmp_path)


def test_an_entry_that_comes_twice_is_refused(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "model.tar", "w", [(tarfile.TarInfo("a"), b"1"), (tarfile.TarInfo("a"), b"2")])
    with pytest.raises(ArtifactCorruptError, match="entry 'a' is refused: its name is in the archive twice"):
        unpack_archive(archive, tmp_path)


def test_a_file_used_as_a_folder_is_refused(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "model.tar", "w", [(tarfile.TarInfo("a"), b"1"), (tarfile.TarInfo("a/b"), b"2")])
    with pytest.raises(ArtifactCorruptError, match="entry 'a/b' is refused: its name is in the archive twice"):
        unpack_archive(archive, tmp_path)


def test_an_archive_that_unpacks_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring_runtime.artifacts.archives.FREE_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "model.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("zeros", bytes(10**6))
    with pytest.raises(ArtifactCorruptError, match=r"unpacks to more than \d+ bytes"):
        unpack_archive(tmp_path / "model.zip", tmp_path)


@pytest.mark.parametrize("kind", [".tar", ".tar.gz", ".zip"])
@pytest.mark.parametrize("length", [0, 7, 0.5])
def test_a_cut_archive_is_corrupt(folder: Path, make_settings: Any, kind: str, length: float) -> None:
    archive = pack(folder, kind)
    content = archive.read_bytes()
    keep = int(len(content) * length) if isinstance(length, float) else length
    archive.write_bytes(content[:keep])
    with pytest.raises(
        ArtifactCorruptError, match=rf"^The artifact model{kind} cannot be unpacked: .* Pack it again\.$"
    ):
        fetch_artifact(make_settings(archive.as_uri()))


def test_no_name_ever_reaches_outside_the_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    parts = st.sampled_from(["..", ".", "a", "b", "", "/", "~", "\\"])

    @hypothesis.settings(deadline=None)
    @given(st.lists(parts, min_size=1, max_size=5).map("/".join).filter(bool), st.booleans())
    def check(name: str, zipped: bool) -> None:
        base = tmp_path_factory.mktemp("unpack")
        target = base / "in" / "target"
        target.mkdir(parents=True)
        suffix = ".zip" if zipped else ".tar"
        archive = base / f"model{suffix}"
        if zipped:
            write_zip(archive, {name: b"x"})
        else:
            write_tar(archive, "w", [(tarfile.TarInfo(name), b"x")])
        with suppress(ArtifactCorruptError):
            unpack_archive(archive, target)
        outside = [path for path in base.rglob("*") if path.is_file() and target not in path.parents]
        assert outside == [archive]

    check()


def test_a_full_disk_says_what_to_do(folder: Path, make_settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(folder, ".tar")

    def fill(*_arguments: Any) -> None:
        # The real error of the kernel, from the device that is always full.
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    monkeypatch.setattr("scoring_runtime.artifacts.archives.shutil.copyfileobj", fill)
    settings = make_settings(archive.as_uri())
    with pytest.raises(FetchFailedError) as caught:
        fetch_artifact(settings)
    assert caught.value.message == (
        f"No space left in {settings.work_dir} for {archive.as_uri()}: give the work volume a larger size limit."
    )
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_a_work_folder_that_cannot_be_written_says_which(folder: Path, make_settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    archive = pack(folder, ".tar")
    with pytest.raises(FetchFailedError, match=r"could not be read or stored: .*/file.* Not a directory"):
        fetch_artifact(make_settings(archive.as_uri(), work_dir=tmp_path / "file" / "work"))


def test_a_large_file_is_hashed_whole(tmp_path: Path) -> None:
    content = os.urandom(3 * 2**20 + 1)
    (tmp_path / "model.bin").write_bytes(content)
    assert compute_digest(tmp_path / "model.bin") == f"sha256:{hashlib.sha256(content).hexdigest()}"
