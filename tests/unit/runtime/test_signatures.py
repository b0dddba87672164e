"""Signatures made by OpenSSL, as cosign makes them too: of files and folders, by every kind of key, and every way to be wrong."""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring_runtime.artifacts.digests import hash_files, render_listing
from scoring_runtime.artifacts.retrieval import fetch_artifact
from scoring_runtime.errors import (
    ArtifactCorruptError,
    InvalidSettingsError,
    LoadError,
    SignatureInvalidError,
    SignatureMissingError,
)

KINDS = {
    "ecdsa": ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ed25519": ["genpkey", "-algorithm", "ed25519"],
    "rsa": ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
}


def run_openssl(*arguments: str | Path) -> bytes:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


class Key:
    """A key pair of OpenSSL's."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind = kind
        self._private = folder / f"{kind}.pem"
        run_openssl(*KINDS[kind], "-out", self._private)
        self.public = run_openssl("pkey", "-in", self._private, "-pubout").decode()

    def sign(self, path: Path) -> str:
        """Return what `cosign sign-blob --key` would print."""
        raw = path.with_name("raw.sig")
        if self.kind == "ed25519":
            run_openssl("pkeyutl", "-sign", "-rawin", "-inkey", self._private, "-in", path, "-out", raw)
        else:
            run_openssl("dgst", "-sha256", "-sign", self._private, "-out", raw, path)
        signature = base64.b64encode(raw.read_bytes()).decode()
        raw.unlink()
        return signature


MakeKey = Callable[[str], Key]


@pytest.fixture
def make_key(tmp_path: Path) -> MakeKey:
    count = iter(range(10))

    def make(kind: str) -> Key:
        folder = tmp_path / f"keys-{next(count)}"
        folder.mkdir()
        return Key(folder, kind)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "volume" / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "sub" / "weights.bin").write_bytes(bytes(1000))
    return folder


@pytest.fixture
def archive(folder: Path) -> Path:
    archive = folder.with_suffix(".tar")
    subprocess.run(["tar", "-cf", archive, "-C", folder, "."], check=True)
    return archive


@pytest.mark.parametrize("kind", ["ecdsa", "ed25519"])
@pytest.mark.parametrize("line_end", ["", "\n"])
def test_a_signed_archive_is_taken(
    make_key: MakeKey, archive: Path, make_settings: Any, kind: str, line_end: str
) -> None:
    key = make_key(kind)
    archive.with_name("model.tar.sig").write_text(key.sign(archive) + line_end)
    settings = make_settings("pvc://c/model.tar", volume_dir=archive.parent, model_signature_key=key.public)
    assert (fetch_artifact(settings).path / "manifest.json").exists()


@pytest.mark.parametrize("kind", ["ecdsa", "ed25519"])
def test_a_folder_is_signed_by_its_listing(
    make_key: MakeKey, folder: Path, make_settings: Any, tmp_path: Path, kind: str
) -> None:
    key = make_key(kind)
    listing = tmp_path / "listing"
    listing.write_bytes(render_listing(hash_files(folder)))
    folder.with_name("model.sig").write_text(key.sign(listing))
    settings = make_settings("pvc://c/model/", volume_dir=folder.parent, model_signature_key=key.public)
    assert fetch_artifact(settings).path == folder
    (folder / "sub" / "weights.bin").write_bytes(bytes(1001))
    with pytest.raises(SignatureInvalidError, match=r"is not one by the key of spec\.model\.signature"):
        fetch_artifact(settings)


def test_any_of_several_keys_may_have_signed(make_key: MakeKey, archive: Path, make_settings: Any) -> None:
    old, new = make_key("ecdsa"), make_key("ed25519")
    for key in (old, new):
        settings = make_settings(
            archive.as_uri(), model_signature_key=old.public + new.public, model_signature=key.sign(archive)
        )
        assert fetch_artifact(settings).size_bytes == archive.stat().st_size


def test_the_signature_may_lie_elsewhere(make_key: MakeKey, archive: Path, make_settings: Any) -> None:
    key = make_key("ecdsa")
    (archive.parent / "signatures").mkdir()
    (archive.parent / "signatures" / "3").write_text(key.sign(archive))
    settings = make_settings(
        "pvc://c/model.tar",
        volume_dir=archive.parent,
        model_signature_key=key.public,
        model_signature_uri="pvc://c/signatures/3",
    )
    assert fetch_artifact(settings).size_bytes == archive.stat().st_size


def test_another_keys_signature_is_invalid_and_nothing_is_unpacked(
    make_key: MakeKey, archive: Path, make_settings: Any
) -> None:
    settings = make_settings(
        archive.as_uri(), model_signature_key=make_key("ecdsa").public, model_signature=make_key("ecdsa").sign(archive)
    )
    with pytest.raises(SignatureInvalidError):
        fetch_artifact(settings)
    assert not (settings.work_dir / "unpacked").exists()


@pytest.mark.parametrize("signature", ["no base64!", "QUJD", "", "ä", "A" * 100])
@pytest.mark.parametrize("kind", ["ecdsa", "ed25519"])
def test_what_is_no_signature_is_invalid(
    make_key: MakeKey, archive: Path, make_settings: Any, signature: str, kind: str
) -> None:
    settings = make_settings(archive.as_uri(), model_signature_key=make_key(kind).public, model_signature=signature)
    with pytest.raises(SignatureInvalidError):
        fetch_artifact(settings)


@pytest.mark.parametrize("kind", ["ecdsa", "ed25519"])
def test_an_empty_archive_says_so(make_key: MakeKey, archive: Path, make_settings: Any, kind: str) -> None:
    key = make_key(kind)
    signature = key.sign(archive)
    archive.write_bytes(b"")
    settings = make_settings(archive.as_uri(), model_signature_key=key.public, model_signature=signature)
    with pytest.raises(ArtifactCorruptError) as caught:
        fetch_artifact(settings)
    assert caught.value.message == "The artifact model.tar is empty: put the archive there again."


def test_a_missing_signature_says_where_it_was_looked_for(make_key: MakeKey, archive: Path, make_settings: Any) -> None:
    settings = make_settings(
        "pvc://c/model.tar", volume_dir=archive.parent, model_signature_key=make_key("ecdsa").public
    )
    with pytest.raises(SignatureMissingError) as caught:
        fetch_artifact(settings)
    assert caught.value.message == (
        "There is no signature at pvc://c/model.tar.sig: put it there, or set spec.model.signature.uri or .value."
    )


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no key",
        "-----BEGIN PUBLIC KEY-----\nQUJD\n-----END PUBLIC KEY-----",
        # Of the kind 1.2.3, which nobody knows.
        "-----BEGIN PUBLIC KEY-----\nMAwwBgYCKgMFAAMCAAE=\n-----END PUBLIC KEY-----",
        "rsa",
    ],
)
def test_a_key_that_cannot_be_used_says_so(make_key: MakeKey, archive: Path, make_settings: Any, pem: str) -> None:
    key = make_key("rsa").public if pem == "rsa" else pem
    with pytest.raises(InvalidSettingsError, match=r"spec\.model\.signature\.publicKey"):
        fetch_artifact(make_settings(archive.as_uri(), model_signature_key=key, model_signature="QQ=="))


def test_a_digest_is_asked_for_all_the_same(make_key: MakeKey, make_settings: Any) -> None:
    with pytest.raises(LoadError, match="needs a digest"):
        fetch_artifact(make_settings("file:///m.pkl", model_signature_key=make_key("ecdsa").public))
