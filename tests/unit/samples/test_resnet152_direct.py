"""Behaviour of samples/resnet152/direct.py on initialised weights: sensible, repeatable probabilities."""

import io
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from samples.resnet152.direct import Classifier, load_classifier

SAMPLE = Path(__file__).parents[3] / "samples" / "resnet152"


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier("initialised", "resnet18")


@pytest.fixture(scope="module")
def photograph() -> bytes:
    return (SAMPLE / "photograph.jpg").read_bytes()


def draw_grey_picture() -> bytes:
    content = io.BytesIO()
    Image.radial_gradient("L").save(content, "PNG")
    return content.getvalue()


def test_probabilities_of_all_classes_sum_to_one(classifier: Classifier, photograph: bytes) -> None:
    result = classifier.classify(photograph, 1000)
    assert sum(probability for _, probability in result) == pytest.approx(1, abs=1e-4)
    assert {label for label, _ in result} == set((SAMPLE / "labels.txt").read_text().splitlines())


def test_best_classes_are_in_order_and_clearly_apart(classifier: Classifier, photograph: bytes) -> None:
    probabilities = [probability for _, probability in classifier.classify(photograph, 4)]
    assert min(better - worse for better, worse in pairwise(probabilities)) > 0.001
    assert 0.01 < probabilities[0] < 0.9


def test_another_picture_gets_other_classes(classifier: Classifier, photograph: bytes) -> None:
    grey = [label for label, _ in classifier.classify(draw_grey_picture())]
    assert grey != [label for label, _ in classifier.classify(photograph)]


def test_picture_is_refused_when_it_is_none(classifier: Classifier) -> None:
    with pytest.raises(UnidentifiedImageError):
        classifier.classify(b"not a picture")


def test_program_prints_what_the_classifier_answers(classifier: Classifier, photograph: bytes) -> None:
    program = [sys.executable, "-W", "error", "-m", "samples.resnet152.direct"]
    command = [*program, "initialised", str(SAMPLE / "photograph.jpg"), "--architecture", "resnet18"]
    completed = subprocess.run(command, cwd=SAMPLE.parents[1], capture_output=True, text=True, check=False, timeout=120)
    assert completed.returncode == 0, completed.stderr
    printed = json.loads(completed.stdout)
    expected = classifier.classify(photograph)
    assert [label for label, _ in printed] == [label for label, _ in expected]
    assert [p for _, p in printed] == pytest.approx([p for _, p in expected], abs=1e-5)
