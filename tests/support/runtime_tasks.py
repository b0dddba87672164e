"""Tasks with their scorers attached, as loading.py makes them, without a server around them."""

import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scoring_runtime.expectation import check_answer
from scoring_runtime.manifest import Manifest, read_manifest
from scoring_runtime.scorers import ModelSource, Scorer, create_scorer
from scoring_runtime.scorers.python import PythonScorer
from scoring_runtime.tasks import RequestBody, Task, TaskLimits, create_task

LIMITS = TaskLimits(max_image_pixels=1, decoding_threads=1)


def attach_task(scorer: Scorer, task: str = "prediction", **fields: Any) -> Task:
    """Return a task of a manifest with these fields, and this loaded scorer."""
    manifest = Manifest.model_validate({"name": "m", "version": "1", "task": task, **fields})
    made = create_task(manifest, "python", Path(), LIMITS)
    made.attach(scorer)
    return made


def load_python(name: str, path: Path = Path()) -> PythonScorer:
    """Return the scorer of a class in python_models."""
    scorer = PythonScorer()
    scorer.load(ModelSource(path, path, {"class": f"python_models:{name}"}))
    return scorer


def make_signature(inputs: Mapping[str, tuple[str, list[int]]]) -> dict[str, Any]:
    """Return a manifest's signature from names, datatypes and shapes."""
    return {"inputs": [{"name": name, "datatype": kind, "shape": shape} for name, (kind, shape) in inputs.items()]}


def ask(task: Task, value: Any) -> Any:
    """Return the answer to `{"input": value}`."""
    return task.write(task.score([task.read(RequestBody(payload={"input": value}))])[0])


def load_archive(archive: Path, folder: Path) -> Task:
    """Return the task of a packaged artifact, unpacked into `folder`; its example is answered as its manifest expects."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    manifest = read_manifest(folder)
    assert manifest.format is not None
    task = create_task(manifest, manifest.format, folder, LIMITS)
    scorer = create_scorer(manifest.format)
    scorer.load(ModelSource(folder / manifest.model, folder, manifest.options, signature=manifest.signature))
    task.attach(scorer)
    assert manifest.expect is not None
    check_answer(task.write(task.score([task.read(task.make_example())])[0]), manifest.expect)
    return task
