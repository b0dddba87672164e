"""Keras models: saved as .keras files."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scoring_cli.packaging import Hints, Packed

FILE = "model.keras"


def pack(model: Any, hints: Hints) -> Packed:  # noqa: ANN401  # keras.Model; Keras has no types
    """Return a Keras model; Keras writes the time of day into the file, so each has a digest of its own."""
    del hints
    with TemporaryDirectory() as folder:
        path = Path(folder, FILE)
        model.save(path)
        return Packed("keras", FILE, {FILE: path.read_bytes()})
