"""The form that understands meaning: the encoder's conversion, training, the artifact, the real model where it is installed."""

import dataclasses
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch.nn import functional
from typer.testing import CliRunner

from samples.faq import encoder as encoders
from samples.faq.__main__ import HAND_WRITTEN, SEED, app
from samples.faq.embeddings import EmbeddingModel, train_embeddings
from samples.faq.encoder import Encoder, convert_encoder, load_encoder
from samples.faq.errors import EncoderMissingError
from samples.faq.evaluation import evaluate_model
from samples.faq.models import train_model
from samples.faq.packaging import write_package
from samples.faq.pairs import Split, split_by_words, split_duplicates
from samples.faq.sources import Selection, read_entries
from scoring_runtime.manifest import Manifest
from scoring_runtime.scorers import ModelSource
from scoring_runtime.scorers.onnx import OnnxScorer
from scoring_runtime.tasks import TaskLimits
from scoring_runtime.tasks.faq_matching import FaqMatching

CONFIG = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 256,
    "layer_norm_eps": 1e-12,
}
LINEAR = {
    "attention.self.query": (16, 16),
    "attention.self.key": (16, 16),
    "attention.self.value": (16, 16),
    "attention.output.dense": (16, 16),
    "intermediate.dense": (24, 16),
    "output.dense": (16, 24),
}


def make_weights(words: int) -> dict[str, Any]:
    """Return a BERT's weights as Hugging Face names them, at random."""
    generator = np.random.default_rng(1)
    tables = {"word": (words, 16), "position": (256, 16), "token_type": (2, 16)}
    shapes: dict[str, tuple[int, ...]] = {
        f"embeddings.{name}_embeddings.weight": shape for name, shape in tables.items()
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(CONFIG["num_hidden_layers"]):  # type: ignore[call-overload]
        prefix = f"encoder.layer.{layer}."
        norms += [f"{prefix}attention.output.LayerNorm", f"{prefix}output.LayerNorm"]
        for name, shape in LINEAR.items():
            shapes |= {f"{prefix}{name}.weight": shape, f"{prefix}{name}.bias": shape[:1]}
    shapes |= {f"{norm}.{kind}": (16,) for norm in norms for kind in ("weight", "bias")}
    return {name: generator.normal(size=shape, scale=0.4).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def split() -> Split:
    return split_duplicates(read_entries(HAND_WRITTEN, Selection())[:20], seed=SEED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, split: Split) -> Path:
    """An encoder as its package holds it: small, untrained, with the words of a few entries."""
    folder = tmp_path_factory.mktemp("model")
    texts = [entry.original.text for entry in split.entries] + [pair.duplicate.text for pair in split.train]
    words = sorted({word for text in texts for word in text.lower().split()})
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(["?", *words])}, unk_token="?"))
    tokenizer.pre_tokenizer, tokenizer.normalizer = pre_tokenizers.WhitespaceSplit(), normalizers.Lowercase()
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_file(make_weights(1 + len(words)), folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return convert_encoder(folder)


@pytest.fixture(scope="module")
def model(split: Split, encoder: Encoder) -> EmbeddingModel:
    return train_embeddings(split, encoder)


def compute_expected(weights: dict[str, Any], ids: list[int]) -> Any:
    """Return the embedding as PyTorch computes it, without padding."""
    state = {name: torch.from_numpy(value) for name, value in weights.items()}

    def scale(rows: Any, name: str) -> Any:
        return functional.layer_norm(rows, (16,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-12)

    def project(rows: Any, name: str) -> Any:
        return functional.linear(rows, state[f"{name}.weight"], state[f"{name}.bias"])

    rows = state["embeddings.word_embeddings.weight"][ids] + state["embeddings.position_embeddings.weight"][: len(ids)]
    rows = scale(rows + state["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(2):
        name = f"encoder.layer.{layer}."
        parts = [project(rows, f"{name}attention.self.{part}") for part in ("query", "key", "value")]
        heads = [part.view(len(ids), 4, 4).transpose(0, 1) for part in parts]
        mixed = functional.scaled_dot_product_attention(*heads).transpose(0, 1).reshape(len(ids), 16)
        rows = scale(project(mixed, f"{name}attention.output.dense") + rows, f"{name}attention.output.LayerNorm")
        wide = functional.gelu(project(rows, f"{name}intermediate.dense"))
        rows = scale(project(wide, f"{name}output.dense") + rows, f"{name}output.LayerNorm")
    return functional.normalize(rows.mean(dim=0), dim=0).numpy()


def test_converted_encoder_gives_what_pytorch_gives_though_texts_are_padded(encoder: Encoder, folder: Path) -> None:
    session = onnxruntime.InferenceSession(encoder.model)
    ids, mask = np.array([[3, 5, 7, 2, 9], [4, 8, 0, 0, 0]]), np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    (found,) = session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})
    weights = load_file(folder / "model.safetensors")
    np.testing.assert_allclose(found[0], compute_expected(weights, ids[0].tolist()), atol=1e-5)
    np.testing.assert_allclose(found[1], compute_expected(weights, [4, 8]), atol=1e-5)


def test_converted_encoder_is_the_same_bytes_each_time(encoder: Encoder, folder: Path) -> None:
    assert convert_encoder(folder) == encoder


def test_tokenizer_is_cut_where_the_model_ends_and_not_padded(encoder: Encoder) -> None:
    tokenizer = json.loads(encoder.tokenizer)
    assert tokenizer["truncation"]["max_length"] == encoders.MAX_TOKENS
    assert tokenizer["padding"] is None


def test_artifact_answers_as_its_manifest_expects(model: EmbeddingModel, split: Split, tmp_path: Path) -> None:
    package = write_package(model, split, "3", tmp_path)
    with tarfile.open(package.archive) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    manifest = Manifest.model_validate_json((tmp_path / "unpacked" / "manifest.json").read_bytes())
    assert (manifest.format, manifest.model, manifest.options) == ("onnx", "encoder.onnx", {"engine": "onnxruntime"})
    scorer = OnnxScorer()
    scorer.load(ModelSource(tmp_path / "unpacked" / manifest.model, tmp_path / "unpacked", manifest.options))
    task = FaqMatching(manifest, tmp_path / "unpacked", TaskLimits(max_image_pixels=1, decoding_threads=1))
    task.attach(scorer)
    (outputs,) = task.score([task.read(task.make_example())])
    assert manifest.expect is not None
    for found, expected in zip(task.write(outputs), manifest.expect.answer, strict=True):
        assert found == [*expected[:2], pytest.approx(expected[2], abs=1e-6)]
    written = yaml.safe_load(package.scoring_model.read_text(encoding="utf-8"))
    assert written["spec"]["model"]["digest"] == package.digest


def test_artifact_is_the_same_bytes_for_the_same_data(split: Split, encoder: Encoder, tmp_path: Path) -> None:
    digests = [write_package(train_embeddings(split, encoder), split, "1", tmp_path / name).digest for name in "ab"]
    assert digests[0] == digests[1]


def test_training_learns_from_duplicates(model: EmbeddingModel, split: Split) -> None:
    known = dataclasses.replace(split, test=split.train)
    alone = dataclasses.replace(model.known, weights=np.array([1.0, 0.0]), shift=0.0)
    assert (
        evaluate_model(model, known).accuracy[0]
        > evaluate_model(dataclasses.replace(model, known=alone), known).accuracy[0]
    )


def test_command_names_the_remedy_when_the_encoder_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "PACKAGE", "no_such_package")
    result = CliRunner().invoke(app, ["train", "--form", "embeddings", "--output", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "requirements/embeddings.txt" in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def real_encoder() -> Encoder:
    try:
        return load_encoder()
    except EncoderMissingError as error:
        pytest.skip(str(error))


def test_real_encoder_knows_that_other_words_mean_the_same(real_encoder: Encoder) -> None:
    split = split_by_words(read_entries(HAND_WRITTEN, Selection())[:40], seed=SEED)
    meaning = evaluate_model(train_embeddings(split, real_encoder), split)
    words = evaluate_model(train_model(split), split)
    assert meaning.accuracy[2] > words.accuracy[2] + 0.1
