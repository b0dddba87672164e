"""ResNet-152 packaged for ours and unpacked for the others, and the picture that all are asked about."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from benchmarks.serving.dialects import Picture
from benchmarks.serving.environments import HERE
from benchmarks.serving.errors import BenchmarkError
from benchmarks.serving.runtime import Artifact

REPOSITORY = HERE.parents[1]
PHOTOGRAPH = REPOSITORY / "samples" / "resnet152" / "photograph.jpg"
SIZE = (640, 480)
QUALITY = 90

Form = Literal["onnx", "onnx-auto", "torch"]

AUTO_TOLERANCE = 0.005
_OPTIONS: Mapping[Form, tuple[str, ...]] = {
    "onnx": ("--format", "onnx"),
    "onnx-auto": ("--format", "onnx", "--precision", "auto", "--tolerance", str(AUTO_TOLERANCE)),
    "torch": ("--format", "torch"),
}


@dataclass(frozen=True)
class UnpackedModel:
    """What others load: the folder of everything, in it the torch state dict and the labels."""

    folder: Path
    state: Path
    labels: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which models/resnet_model.py finds it."""
        return {"RESNET_STATE": str(self.state), "RESNET_LABELS": str(self.labels)}


def package(form: Form, folder: Path) -> Artifact:
    """Package ResNet-152 with its seeded weights by the sample's own command, unless `folder` holds it already."""
    output = folder / f"resnet152-{form}"
    told = output / "told.json"
    if not told.exists():
        output.mkdir(parents=True, exist_ok=True)
        told.write_text(_package(form, output), encoding="utf-8")
    result = json.loads(told.read_text(encoding="utf-8"))
    variant = None if form == "torch" else "onnx"
    return Artifact("resnet152", Path(result["archive"]), result["digest"], variant=variant)


def unpack(artifacts: Iterable[Artifact], folder: Path) -> UnpackedModel:
    """Unpack artifacts, that of torch among them, into `folder`."""
    for artifact in artifacts:
        with tarfile.open(artifact.archive) as tar:
            tar.extractall(folder / artifact.archive.parent.name, filter="data")
    return UnpackedModel(folder, find_file(folder, "*.safetensors"), find_file(folder, "labels.txt"))


def find_file(folder: Path, pattern: str) -> Path:
    """Return the first file of this pattern. Raises BenchmarkError when there is none."""
    found = sorted(folder.rglob(pattern))
    if not found:
        raise BenchmarkError(f"The packaged model holds no {pattern}: the sample's layout has changed.")
    return found[0]


def take_picture(model: UnpackedModel) -> Picture:
    """Return the sample's photograph as a JPEG of 640 x 480, with the labels that torch in eager mode gives it."""
    buffer = io.BytesIO()
    with Image.open(PHOTOGRAPH) as photograph:
        photograph.convert("RGB").resize(SIZE).save(buffer, "JPEG", quality=QUALITY)
    program = "import sys, json, resnet_model as m; print(json.dumps(m.ResNet().classify(sys.stdin.buffer.read())))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **model.environment, "PYTHONPATH": str(HERE / "models")},
        input=buffer.getvalue(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return Picture(buffer.getvalue(), [label for label, _ in json.loads(done.stdout)])


def _package(form: Form, output: Path) -> str:
    command = [sys.executable, "-m", "samples.resnet152.package", "initialised", *_OPTIONS[form]]
    words = [*command, "--output", str(output), "--output-format", "json"]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"ResNet-152 cannot be packaged as {form}: {done.stderr[-2000:]}")
    return done.stdout.splitlines()[-1]
