"""From the start of the process to the first right answer, and the memory then: ours, with each sample and format."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks.serving.comparisons import Options, describe_server
from benchmarks.serving.errors import BenchmarkError
from benchmarks.serving.pictures import REPOSITORY
from benchmarks.serving.results import Report
from benchmarks.serving.runtime import Artifact, make_runtime
from benchmarks.serving.servers import Call, run_server
from benchmarks.serving.tables import render_table
from scoring_runtime.expectation import find_difference

STARTS = 3
RESNET = ("samples.resnet152.package", "initialised", "--format")
SAMPLES: Mapping[str, tuple[str, ...]] = {
    "python: a class of the image's": ("samples.custom",),
    "sklearn: a table": ("samples.tabular",),
    "sklearn: FAQ by words": ("samples.faq", "train"),
    "onnx: FAQ by meaning": ("samples.faq", "train", "--form", "embeddings"),
    "mlflow: a table": ("samples.mlflow",),
    "onnx: ResNet-152": (*RESNET, "onnx", "--engine", "onnxruntime"),
    "torch: ResNet-152": (*RESNET, "torch"),
    "torch: ResNet-152, TorchScript": (*RESNET, "torchscript"),
    "torch: ResNet-152, exported": (*RESNET, "exported"),
    "tensorflow: ResNet-152": (*RESNET, "tensorflow"),
    "keras: ResNet-152": (*RESNET, "keras"),
}
VARIANTS: Mapping[str, str] = {"python": "sklearn", "sklearn": "sklearn", "onnx": "onnx", "mlflow": "mlflow"}
"""The image whose packages serve a format. The others' are gigabytes: those formats are served with all packages."""

_ASIDE = (
    "Files in the page cache; digest check, load, warm-up and the check of the manifest's example included, and gRPC switched on. "
    "With the packages of the image that serves the format, for torch, tensorflow and keras with those of all."
)


def run(options: Options) -> Report:
    """Package each sample, start it some times, and ask each time for its manifest's example."""
    found = {name: _measure(name, words, options) for name, words in SAMPLES.items()}
    header = ("format and model", f"s to the first answer (median of {STARTS})", "MiB PSS then", "MiB peak RSS")
    keys = ("start_seconds", "pss_mib_after_start", "peak_rss_mib_after_start")
    rows = [[name, *(f"{median(each[key] for each in starts):.4g}" for key in keys)] for name, starts in found.items()]
    return Report({"starts": found}, [_ASIDE, render_table(header, rows)], [])


def _measure(name: str, words: tuple[str, ...], options: Options) -> list[dict[str, Any]]:
    options.progress(name)
    folder = options.work / "starts" / "".join(letter if letter.isalnum() else "-" for letter in name)
    artifact = _package(words, folder, VARIANTS.get(name.partition(":")[0]))
    server = make_runtime(name, artifact, _make_call(artifact.archive), folder / "work")
    starts = []
    for _ in range(STARTS):
        with run_server(server, folder / "server.log") as running:
            starts.append(describe_server(running))
    return starts


def _package(words: tuple[str, ...], folder: Path, variant: str | None) -> Artifact:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", *words, "--output", str(folder), "--output-format", "json"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{words[0]} cannot be packaged: {done.stderr[-2000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    code = REPOSITORY / "samples" / "custom" / "package"
    return Artifact("model", Path(told["archive"]), told["digest"], code, variant)


def _make_call(archive: Path) -> Call:
    """Return the manifest's example as a request, whose answer must be the one that the manifest expects."""
    with tarfile.open(archive) as tar:
        content = tar.extractfile("manifest.json")
        if content is None:
            raise BenchmarkError(f"{archive.name} has no manifest.json.")
        manifest = json.load(content)
    expect = manifest["expect"]

    def is_expected(answer: Any) -> bool:  # noqa: ANN401  # JSON
        return find_difference(answer["result"][0], expect["answer"], expect.get("tolerance", 1e-3)) is None

    return Call("/score", orjson.dumps(manifest["example"]), expected=True, read=is_expected)
