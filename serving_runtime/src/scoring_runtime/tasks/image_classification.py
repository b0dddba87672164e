"""The task image-classification: encoded images in, their most probable labels out."""

import threading
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as transforms

from scoring_runtime.errors import (
    ImageTooLargeError,
    ManifestInvalidError,
    MissingInputError,
    ModelInvalidError,
    TooManyImagesError,
)
from scoring_runtime.images import decode_base64, decode_image
from scoring_runtime.manifest import ImageParameters, Manifest, Preprocessing, find_file, read_parameters
from scoring_runtime.scorers import Scorer
from scoring_runtime.tasks import RequestBody, TaskLimits, check_finite, check_not_empty, get_input

MAX_IMAGES = 32

NamedTensors = list[tuple[str, torch.Tensor]]


class ImageClassification:
    """Classifies images; the answer maps each name to [label, probability] pairs, most probable first."""

    file_types: tuple[str, ...] = ("multipart/form-data", "image/*")
    trusted_types: tuple[str, ...] = ()

    def __init__(self, manifest: Manifest, folder: Path, limits: TaskLimits) -> None:
        parameters = read_parameters(manifest, ImageParameters)
        self._labels = _read_labels(find_file(folder, parameters.labels, "parameters.labels"))
        self.classes: int | None = len(self._labels)
        self._top = parameters.top
        self._preprocessing = parameters.preprocessing
        self._max_pixels = limits.max_image_pixels
        # Pillow holds 4 bytes per pixel, and twice that while it converts an image of another mode to RGB: as many at
        # once as the server has threads could fill the memory.
        self._decoding = threading.BoundedSemaphore(limits.decoding_threads)
        self._example = manifest.example
        self._scorer: Scorer | None = None

    def attach(self, scorer: Scorer) -> None:
        """Use this scorer from now on."""
        self._scorer = scorer

    def make_example(self) -> RequestBody:
        """Return the manifest's example or a grey image."""
        if self._example is not None:
            return RequestBody(payload=self._example)
        size = self._preprocessing.crop_size
        return RequestBody(files=(("example", _encode(Image.new("RGB", (size, size), "grey"))),))

    def read(self, body: RequestBody) -> NamedTensors:
        """Return the decoded, resized and cropped images, in their order. Raises RequestError."""
        images = list(body.files) if body.files is not None else _read_json_images(body.payload)
        check_not_empty(images, "The request holds no image: send at least one.")
        _check_count(len(images))
        _check_names_differ([name for name, _ in images])
        return [(name, self._read_image(name, data)) for name, data in images]

    def score(self, inputs: NamedTensors) -> dict[str, list[list[str | float]]]:
        """Return the most probable labels of each image, scored as one batch. Raises ScoringFailedError for NaN."""
        if self._scorer is None:
            raise ModelInvalidError("No scorer is attached to the task.")
        batch = normalise_images(torch.stack([tensor for _, tensor in inputs]), self._preprocessing)
        probabilities = np.asarray(self._scorer.score(batch))
        check_finite(probabilities)
        names = [name for name, _ in inputs]
        return {name: self._rank_labels(row) for name, row in zip(names, probabilities, strict=True)}

    def _read_image(self, name: str, data: bytes) -> torch.Tensor:
        with self._decoding:
            image = decode_image(name, data, self._max_pixels)
            self._check_resized(name, image)
            return crop_image(image, self._preprocessing)

    def _check_resized(self, name: str, image: Image.Image) -> None:
        # The shorter edge is resized, so a very long, thin image within the limit would grow beyond it.
        short, long = sorted(image.size)
        if self._preprocessing.resize_size**2 * long > self._max_pixels * short:
            raise ImageTooLargeError(f"image {name!r} is too long and thin ({long} to {short}): send a part of it.")

    def _rank_labels(self, row: np.ndarray[tuple[int], np.dtype[np.float32]]) -> list[list[str | float]]:
        best = np.argsort(-row, kind="stable")[: self._top]
        return [[self._labels[index], float(row[index])] for index in best]


def crop_image(image: Image.Image, how: Preprocessing) -> torch.Tensor:
    """Return the image resized and cropped, uint8 of shape (3, crop, crop): the first steps of ImageClassification.

    Four times smaller than the model's input while it waits, and made by Pillow alone: PyTorch's pools of threads belong to
    the scoring thread.
    """
    resized = transforms.resize(image, how.resize_size, InterpolationMode(how.interpolation), antialias=how.antialias)
    cropped = transforms.center_crop(resized, how.crop_size)
    tensor: torch.Tensor = transforms.pil_to_tensor(cropped)
    return tensor


def normalise_images(batch: torch.Tensor, how: Preprocessing) -> torch.Tensor:
    """Return the model's input, float32 of shape (n, 3, crop, crop): the last steps of torchvision's ImageClassification."""
    numbers = transforms.convert_image_dtype(batch, torch.float32)
    normalised: torch.Tensor = transforms.normalize(numbers, mean=list(how.mean), std=list(how.std), inplace=True)
    return normalised


def _read_json_images(payload: object) -> list[tuple[str, bytes]]:
    images = get_input(payload)
    if not isinstance(images, Mapping):
        raise MissingInputError('input must be an object of images: send {"input": {"<name>": "<base64>"}}.')
    _check_count(len(images))
    return [(name, decode_base64(name, text)) for name, text in images.items()]


def _check_count(count: int) -> None:
    if count > MAX_IMAGES:
        raise TooManyImagesError(
            f"{count} images in one request; at most {MAX_IMAGES} are scored. Send several requests."
        )


def _check_names_differ(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise MissingInputError(f"Several images are named {name!r}: give each part a field name of its own.")


def _read_labels(path: Path) -> list[str]:
    try:
        labels = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ManifestInvalidError(f"{path.name} is not UTF-8: save the labels as UTF-8, one per line.") from error
    if not labels or not all(label.strip() for label in labels):
        raise ManifestInvalidError(f"{path.name} is empty or has an empty line: one label per line, in class order.")
    return labels


def _encode(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
