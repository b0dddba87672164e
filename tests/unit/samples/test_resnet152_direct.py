"""Behaviour of samples/resnet152/direct.py on an archive that package.py made: sensible, repeatable probabilities."""

import importlib.util
import io
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image, UnidentifiedImageError

SAMPLE = Path(__file__).parents[3] / "samples" / "resnet152"


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"resnet152_for_direct_{name}", SAMPLE / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = load_script("package").package("initialised", tmp_path_factory.mktemp("direct"), "resnet18")
    return Path(result["file"])


@pytest.fixture(scope="module")
def classifier(archive: Path) -> Any:
    return load_script("direct").load_classifier(archive)


@pytest.fixture(scope="module")
def photograph() -> bytes:
    return (SAMPLE / "photograph.jpg").read_bytes()


def draw_grey_picture() -> bytes:
    content = io.BytesIO()
    Image.radial_gradient("L").save(content, "PNG")
    return content.getvalue()


def test_probabilities_of_all_classes_sum_to_one(classifier: Any, photograph: bytes) -> None:
    result = classifier.classify(photograph, 1000)
    assert sum(probability for _, probability in result) == pytest.approx(1, abs=1e-4)
    assert {label for label, _ in result} == set((SAMPLE / "labels.txt").read_text().splitlines())


def test_best_classes_are_in_order_and_clearly_apart(classifier: Any, photograph: bytes) -> None:
    probabilities = [probability for _, probability in classifier.classify(photograph, 4)]
    assert min(better - worse for better, worse in pairwise(probabilities)) > 0.001
    assert 0.01 < probabilities[0] < 0.9


def test_another_picture_gets_other_classes(classifier: Any, photograph: bytes) -> None:
    grey = [label for label, _ in classifier.classify(draw_grey_picture())]
    assert grey != [label for label, _ in classifier.classify(photograph)]


def test_picture_is_refused_when_it_is_none(classifier: Any) -> None:
    with pytest.raises(UnidentifiedImageError):
        classifier.classify(b"not a picture")


def test_script_prints_what_the_classifier_answers(archive: Path, classifier: Any, photograph: bytes) -> None:
    command = [sys.executable, "-W", "error", str(SAMPLE / "direct.py"), str(archive), str(SAMPLE / "photograph.jpg")]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert completed.returncode == 0, completed.stderr
    printed = json.loads(completed.stdout)
    expected = classifier.classify(photograph)
    assert [label for label, _ in printed] == [label for label, _ in expected]
    assert [p for _, p in printed] == pytest.approx([p for _, p in expected], abs=1e-5)
