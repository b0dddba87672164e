"""What is fuzzed: functions from bytes, which may refuse them by the errors that they document and by no other.

Each is a place where bytes of strangers come in: artifacts, requests, objects of the API server, texts that are logged.
"""

import io
import json
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fuzzing.service import REQUESTS, post
from hostile_specs import CLASS_SPECS, MODEL_SPECS, build_hostile
from scoring_operator.api import HardwareClass, ScoringModel
from scoring_operator.diagnosis import parse_termination_message
from scoring_operator.errors import ModelProblem
from scoring_operator.image_pulls import explain_pull
from scoring_operator.render import render_children
from scoring_operator.settings import Settings as OperatorSettings
from scoring_runtime.artifacts.archives import unpack_archive
from scoring_runtime.artifacts.uris import parse_uri
from scoring_runtime.errors import LoadError, RequestError
from scoring_runtime.images import decode_image
from scoring_runtime.manifest import FILE_NAME, read_labels, read_manifest
from scoring_runtime.mlmodel import derive_signature, make_manifest, read_mlmodel
from scoring_runtime.redaction import MAX_CHARACTERS, Redactor
from scoring_runtime.telemetry.request_ids import choose_request_id, find_trace_id

MAX_PIXELS = 2**20
METADATA = {"name": "faq", "namespace": "team", "uid": "u", "generation": 1}
MEMORY = "/dev/shm"  # noqa: S108  # files that live for a millisecond


@dataclass(frozen=True)
class Target:
    """One function to be fuzzed, and inputs to begin with."""

    feed: Callable[[bytes], object]
    seeds: Sequence[bytes]


@contextmanager
def _open_folder() -> Iterator[Path]:
    place = MEMORY if Path(MEMORY).is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="fuzzing-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def feed_manifest(data: bytes) -> None:
    """Read a manifest.json."""
    with _open_folder() as folder, suppress(LoadError):
        (folder / FILE_NAME).write_bytes(data)
        read_labels(folder, read_manifest(folder))


def feed_mlmodel(data: bytes) -> None:
    """Read an MLmodel file."""
    with _open_folder() as folder, suppress(LoadError):
        (folder / "MLmodel").write_bytes(data)
        derive_signature(read_mlmodel(folder))
        make_manifest(folder)


def feed_archive(data: bytes) -> None:
    """Unpack an archive, whose kind its first byte chooses; nothing may appear outside its folder."""
    suffix = (".tar", ".tar.gz", ".zip")[data[0] % 3] if data else ".tar"
    with _open_folder() as folder:
        archive, inside = folder / f"a{suffix}", folder / "inside"
        archive.write_bytes(data[1:])
        inside.mkdir()
        # A disk's errors: a name longer than it takes.
        with suppress(LoadError, OSError):
            unpack_archive(archive, inside)
        outside = {path.name for path in folder.iterdir()} - {archive.name, "inside"}
        if outside or any(path.is_symlink() for path in inside.rglob("*")):
            raise AssertionError(f"the archive reached out of its folder: {outside}")


def feed_image(data: bytes) -> None:
    """Decode an image."""
    with suppress(RequestError):
        decode_image("image", data, MAX_PIXELS)


def feed_uri(data: bytes) -> None:
    """Parse a model's URI."""
    with suppress(LoadError):
        str(parse_uri(data.decode("utf-8", errors="replace")))


def feed_redaction(data: bytes) -> None:
    """Redact a text, and take it for a request id and a trace parent."""
    text = data.decode("utf-8", errors="replace")
    redacted = Redactor().redact(text)
    if len(redacted) > 12 * MAX_CHARACTERS:
        raise AssertionError("redaction made a text of it that is too long")
    json.dumps(Redactor().redact_value({text: [text]}))
    chosen = choose_request_id(text)
    if not chosen.isascii() or not chosen.isprintable() or " " in chosen:
        raise AssertionError(f"{chosen!r} cannot stand in a header")
    find_trace_id(text)


@cache
def _operator_settings() -> OperatorSettings:
    return OperatorSettings(runtime_images={"sklearn": "r:1", "torch": "t:1"})


def _render(spec: Any, hardware_spec: Any) -> None:  # noqa: ANN401  # whatever it is
    with suppress(ModelProblem):
        model = ScoringModel.parse({"metadata": METADATA, "spec": spec})
        hardware = HardwareClass.parse({"metadata": {"name": "cpu", "uid": "u"}, "spec": hardware_spec})
        json.dumps(list(render_children(model, hardware, _operator_settings()).values()))


def feed_objects(data: bytes) -> None:
    """Parse and render a ScoringModel and a HardwareClass, given as JSON."""
    with suppress(ValueError, RecursionError):
        match json.loads(data):
            case [spec, hardware]:
                _render(spec, hardware)


def feed_hostile_objects(data: bytes) -> None:
    """Parse and render valid objects with places made hostile, as the bytes choose."""
    random = Random(data)  # noqa: S311  # the same bytes make the same object
    _render(build_hostile(random, MODEL_SPECS), build_hostile(random, CLASS_SPECS))


def feed_last_words(data: bytes) -> None:
    """Read a container's last words, and what a node says of an image."""
    text = data.decode("utf-8", errors="replace")
    parse_termination_message(text)
    explain_pull(text, "ErrImagePull", text, [text])


def _write_archives() -> list[bytes]:
    tar, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name in ("manifest.json", "../outside", "/absolute", "folder/file"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            archive.addfile(entry, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("manifest.json", "{}")
        written.writestr("../outside", "x" * 1000)
    return [b"\0" + tar.getvalue(), b"\2" + zipped.getvalue()]


MANIFEST = {
    "name": "faq", "version": "1", "format": "sklearn", "task": "faq-matching", "model": "m.skops", "labels": ["a", "b"],
    "options": {"class": "a:B"}, "parameters": {"originals": "o.json"}, "example": {"input": "x"},
    "signature": {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}], "outputs": []},
    "expect": {"output": [1.5], "tolerance": 0.1},
}  # fmt: skip
MLMODEL = b"""flavors:
  sklearn: {pickled_model: model.pkl, sklearn_version: 1.7.0}
signature:
  inputs: '[{"type": "double", "name": "x", "required": true}, {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]'
  outputs: '[{"type": "long"}]'
saved_input_example_info: {artifact_path: input_example.json, type: dataframe}
model_uuid: abc
"""
TEXTS = [
    b"password=x https://u:p@h/x?y Authorization: Bearer abc12345 {'token': 'x'} -----BEGIN PRIVATE KEY-----",
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
]
URIS = [b"https://u:p@host:1/a?b#c", b"pvc://claim/a/b", b"file:///a/../b", b"https://[::1]/x"]
OBJECTS = [json.dumps([model, hardware]).encode() for model in MODEL_SPECS for hardware in CLASS_SPECS]
WORDS = [b'{"code": "DigestMismatch", "message": "x"}', b'failed to pull "h/x": 401 Unauthorized']
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)
IMAGES = [
    PNG,
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;",
]

TARGETS = {
    "manifest": Target(feed_manifest, [json.dumps(MANIFEST).encode()]),
    "mlmodel": Target(feed_mlmodel, [MLMODEL]),
    "archive": Target(feed_archive, _write_archives()),
    "image": Target(feed_image, IMAGES),
    "uri": Target(feed_uri, URIS),
    "request": Target(post, REQUESTS),
    "redaction": Target(feed_redaction, TEXTS),
    "objects": Target(feed_objects, OBJECTS),
    "hostile-objects": Target(feed_hostile_objects, [b"0", b"1"]),
    "last-words": Target(feed_last_words, WORDS),
}
