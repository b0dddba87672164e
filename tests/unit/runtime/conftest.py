"""Real artifacts, trained or initialised on the spot, and the app over a model that was really loaded."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import skops.io
import torch
import torchvision
from flask.testing import FlaskClient
from PIL import Image
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from scoring_runtime.app import create_app
from scoring_runtime.artifacts.digests import compute_digest
from scoring_runtime.batching import Batcher
from scoring_runtime.loading import load_model
from scoring_runtime.model import ModelSlot
from scoring_runtime.service import ScoringService
from scoring_runtime.settings import Settings
from scoring_runtime.telemetry.metrics import Metrics

ORIGINALS = [
    {"id": 1, "answerId": "a1", "text": "How do I copy an array?"},
    {"id": 2, "answerId": "a2", "text": "What does strict mode do?"},
    {"id": "three", "answerId": 33, "text": "How can I parse a date?"},
    {"id": 4, "answerId": "a4", "text": "Why is this undefined in a callback?"},
]
LABELS = [f"n{number:04} thing {number}" for number in range(10)]
PREPROCESSING = {"resizeSize": 232, "cropSize": 224, "interpolation": "bilinear", "antialias": True}

MakeSettings = Callable[..., Settings]
MakeClient = Callable[..., FlaskClient]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that runs the tests reaches them."""
    for name in [name for name in os.environ if name.startswith("SCORING_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    def make(uri: str, **values: Any) -> Settings:
        work = {"work_dir": tmp_path / "work", "termination_log": tmp_path / "termination-log", "threads": 1}
        return Settings(model_uri=uri, **{**work, **values})

    return make


def write_manifest(folder: Path, **fields: Any) -> None:
    (folder / "manifest.json").write_text(json.dumps(fields))


def fit_pipeline() -> Pipeline:
    texts = [original["text"] for original in ORIGINALS]
    pairs = pd.DataFrame([(x, y) for x in texts for y in texts], columns=["Text_x", "Text_y"])
    blocks = ColumnTransformer([("x", TfidfVectorizer(), "Text_x"), ("y", TfidfVectorizer(), "Text_y")])
    return Pipeline([("features", blocks), ("classifier", LogisticRegression())]).fit(
        pairs, pairs.Text_x == pairs.Text_y
    )


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    return fit_pipeline()


@pytest.fixture
def faq_folder(tmp_path: Path, pipeline: Pipeline) -> Path:
    folder = tmp_path / "faq"
    folder.mkdir()
    (folder / "originals.json").write_text(json.dumps(ORIGINALS))
    skops.io.dump(pipeline, folder / "pipeline.skops")
    write_faq_manifest(folder)
    return folder


def write_faq_manifest(folder: Path, **changes: Any) -> None:
    fields = {
        "name": "small-faq",
        "version": "1.2.3",
        "format": "sklearn",
        "task": "faq-matching",
        "model": "pipeline.skops",
        "parameters": {"originals": "originals.json", "top": 3},
        "example": {"input": "How do I copy a list?"},
    }
    write_manifest(folder, **{**fields, **changes})


@pytest.fixture
def joblib_folder(faq_folder: Path, pipeline: Pipeline) -> Path:
    joblib.dump(pipeline, faq_folder / "pipeline.joblib")
    (faq_folder / "pipeline.skops").unlink()
    write_faq_manifest(faq_folder, model="pipeline.joblib")
    return faq_folder


@pytest.fixture(scope="session")
def network() -> torch.nn.Module:
    """A ResNet-18 with random weights and as many classes as LABELS."""
    torch.manual_seed(7)
    network: torch.nn.Module = torchvision.models.resnet18(weights=None, num_classes=len(LABELS)).eval()
    return network


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory, network: torch.nn.Module) -> Path:
    folder = tmp_path_factory.mktemp("images")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n")
    safetensors.torch.save_file(network.state_dict(), folder / "model.safetensors")
    write_image_manifest(folder)
    return folder


def write_image_manifest(folder: Path, **changes: Any) -> None:
    fields = {
        "name": "small-images",
        "version": "2",
        "format": "torch",
        "task": "image-classification",
        "model": "model.safetensors",
        "options": {"architecture": "resnet18"},
        "labels": "labels.txt",
        "parameters": {"preprocessing": PREPROCESSING},
    }
    write_manifest(folder, **{**fields, **changes})


@pytest.fixture(scope="session")
def photograph() -> Image.Image:
    """A real photograph, 640 x 427, that comes with scikit-learn."""
    image: np.ndarray[Any, Any] = load_sample_images().images[0]
    return Image.fromarray(image)


@pytest.fixture
def make_client(make_settings: MakeSettings) -> MakeClient:
    """Load the model of a folder as the server does, and return a client of the app."""

    def make(folder: Path, **values: Any) -> FlaskClient:
        settings = make_settings(folder.as_uri(), **{"model_digest": compute_digest(folder), **values})
        slot, batcher = ModelSlot(), Batcher(settings.max_queue, settings.max_wait_seconds)
        metrics = Metrics(batcher)
        app = create_app(settings, ScoringService(settings.model_name, slot, batcher), metrics)
        metrics.record_model(load_model(settings, slot, batcher))
        return app.test_client()

    return make


@pytest.fixture
def faq_client(make_client: MakeClient, faq_folder: Path) -> FlaskClient:
    return make_client(faq_folder)


@pytest.fixture
def image_client(make_client: MakeClient, image_folder: Path) -> FlaskClient:
    return make_client(image_folder)
