"""The task image-classification: encoded images in, their most probable labels out.

Decoded, resized and cropped on the request's thread; normalised and scored on the scoring thread, all requests as one batch.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scoring_runtime.errors import (
    ImageTooLargeError,
    InvalidInputError,
    ManifestInvalidError,
    MissingInputError,
    ModelInvalidError,
    TooManyImagesError,
)
from scoring_runtime.images import decode_base64, decode_image
from scoring_runtime.manifest import ImageParameters, Manifest, Preprocessing, read_labels, read_parameters
from scoring_runtime.pixels import Pixels, compute_resized_size, crop_image, normalise_images
from scoring_runtime.scorers import Scorer
from scoring_runtime.tasks import Json, RequestBody, TaskLimits, check_finite, check_not_empty, get_input
from scoring_runtime.tensors import ANY_SIZE, Signature, Tensor, Tensors, TensorSpec, get_dtype

MAX_IMAGES = 32
"""In one request; and at once on a GPU, of several requests."""
INPUT = "image"

Floats = NDArray[np.float32]


@runtime_checkable
class PixelScorer(Protocol):
    """A scorer that normalises images itself, on the device that computes."""

    def score_images(self, pixels: Pixels, preprocessing: Preprocessing) -> Floats:
        """Return the outputs (n, classes) of images (n, crop, crop, 3)."""


@dataclass(frozen=True)
class Images:
    """A request's images by name: cropped pixels (n, crop, crop, 3)."""

    names: tuple[str, ...]
    values: Pixels


@dataclass(frozen=True)
class Probabilities:
    """The probability of each class for each image of a request: (n, classes)."""

    names: tuple[str, ...]
    values: Floats


class ImageClassification:
    """Classifies images; the answer maps each name to [label, probability] pairs, most probable first."""

    file_types: tuple[str, ...] = ("multipart/form-data", "image/*")
    trusted_types: tuple[str, ...] = ()

    def __init__(self, manifest: Manifest, folder: Path, limits: TaskLimits) -> None:
        self._parameters = read_parameters(manifest, ImageParameters)
        self._preprocessing = self._parameters.preprocessing
        self._labels = _require_labels(folder, manifest)
        self._top = min(self._parameters.top, len(self._labels))
        self.classes: int | None = len(self._labels)
        self._max_pixels = limits.max_image_pixels
        # Pillow holds 4 bytes per pixel, and twice that while it converts an image of another mode to RGB: as many at
        # once as the server has threads could fill the memory.
        self._decoding = threading.BoundedSemaphore(limits.decoding_threads)
        self._example = manifest.example
        self._scorer: Scorer | None = None

    @property
    def max_batch_size(self) -> int:
        """As many images as a request may hold on a GPU; 1 on a CPU, where a batch takes as long as its images."""
        if self._scorer is None or not _takes_batches(self._scorer):
            return 1
        return MAX_IMAGES if str(self._scorer.report.get("device", "")).startswith("cuda") else 1

    @property
    def signature(self) -> Signature:
        """Encoded images in; the `top` labels and probabilities of each out, most probable first."""
        shape = (ANY_SIZE, self._top)
        label = TensorSpec(name="label", datatype="BYTES", shape=shape)
        probability = TensorSpec(name="probability", datatype="FP32", shape=shape)
        images = TensorSpec(name=INPUT, datatype="BYTES", shape=(ANY_SIZE,))
        return Signature(inputs=(images,), outputs=(label, probability))

    def attach(self, scorer: Scorer) -> None:
        """Use this scorer from now on."""
        self._scorer = scorer

    def make_example(self) -> RequestBody:
        """Return the manifest's example or a grey image."""
        if self._example is not None:
            return RequestBody(payload=self._example)
        size = self._preprocessing.crop_size
        return RequestBody(files=(("example", _encode(Image.new("RGB", (size, size), "grey"))),))

    def read(self, body: RequestBody) -> Images:
        """Return the decoded, resized and cropped images, in their order. Raises RequestError."""
        files = list(body.files) if body.files is not None else _read_json_images(body.payload)
        check_not_empty(files, "The request holds no image: send at least one.")
        _check_count(len(files))
        names = tuple(name for name, _ in files)
        _check_names_differ(names)
        return Images(names, np.stack([self._read_image(name, data) for name, data in files]))

    def read_tensors(self, tensors: Tensors) -> Images:
        """Return the images of the tensor `image`, encoded (BYTES [n]; a text is base64). Raises RequestError."""
        if INPUT not in tensors:
            raise MissingInputError(
                f"There is no tensor named {INPUT}: send the encoded images as BYTES of the shape [n]."
            )
        images = tensors[INPUT]
        check_not_empty(images.size, f"The tensor {INPUT} is empty: send at least one image.")
        _check_count(len(images))
        names = tuple(f"{INPUT}[{row}]" for row in range(len(images)))
        if images.size != len(images) or images.dtype.kind not in "OSU":
            raise InvalidInputError(
                f"The tensor {INPUT} is {images.dtype} {list(images.shape)}: send BYTES of the shape [n]."
            )
        encoded = [_get_bytes(name, value) for name, value in zip(names, images.flat, strict=True)]
        return self.read(RequestBody(files=tuple(zip(names, encoded, strict=True))))

    def count(self, inputs: Images) -> int:
        """Return how many images a request holds."""
        return len(inputs.names)

    def score(self, requests: Sequence[Images]) -> list[Probabilities]:
        """Return the probabilities of each request's images, scored as one batch.

        Raises ManifestInvalidError when there are more or fewer labels than classes.
        """
        if self._scorer is None:
            raise ModelInvalidError("No scorer is attached to the task.")
        outputs = self._compute(self._scorer, np.concatenate([request.values for request in requests]))
        ends = np.cumsum([len(request.names) for request in requests])
        rows = np.split(outputs, ends[:-1])
        return [Probabilities(request.names, own) for request, own in zip(requests, rows, strict=True)]

    def write(self, outputs: Probabilities) -> Json:
        """Return [label, probability] of the most probable labels by each image's name. Raises ScoringFailedError for NaN."""
        best, probabilities = self._rank(outputs)
        return {
            name: [[self._labels[index], float(value)] for index, value in zip(indices, values, strict=True)]
            for name, indices, values in zip(outputs.names, best, probabilities, strict=True)
        }

    def write_tensors(self, outputs: Probabilities) -> Tensors:
        """Return `label` (BYTES) and `probability` (FP32), each of the shape (n, top). Raises ScoringFailedError for NaN."""
        best, probabilities = self._rank(outputs)
        return {"label": np.array(self._labels, dtype=object)[best], "probability": probabilities}

    def _read_image(self, name: str, data: bytes) -> Pixels:
        with self._decoding:
            image = decode_image(name, data, self._max_pixels)
            self._check_resized(name, image)
            return crop_image(image, self._preprocessing)

    def _check_resized(self, name: str, image: Image.Image) -> None:
        # The shorter edge is resized, so a very long, thin image within the limit would grow beyond it.
        width, height = compute_resized_size(image.size, self._preprocessing.resize_size)
        if width * height > self._max_pixels:
            short, long = sorted(image.size)
            raise ImageTooLargeError(f"image {name!r} is too long and thin ({long} to {short}): send a part of it.")

    def _compute(self, scorer: Scorer, images: Pixels) -> Floats:
        parts = [images] if _takes_batches(scorer) else [images[row : row + 1] for row in range(len(images))]
        outputs = np.concatenate([self._run(scorer, part) for part in parts]).reshape(len(images), -1)
        if outputs.shape[1] != len(self._labels):
            raise ManifestInvalidError(
                f"manifest.json: labels: there are {len(self._labels)}, but the model answers {outputs.shape[1]} classes: "
                "give one label per class, in class order."
            )
        return compute_softmax(outputs) if self._parameters.activation == "softmax" else outputs.astype(np.float32)

    def _run(self, scorer: Scorer, images: Pixels) -> Tensor:
        if isinstance(scorer, PixelScorer):
            return scorer.score_images(images, self._preprocessing)
        batch: Tensor = normalise_images(images, self._preprocessing, self._parameters.layout)
        spec = scorer.signature.inputs[0] if scorer.signature else None
        batch = batch.astype(get_dtype(spec.datatype), copy=False) if spec else batch
        outputs: Tensors = scorer.score({spec.name if spec else INPUT: batch})
        return next(iter(outputs.values()))

    def _rank(self, outputs: Probabilities) -> tuple[NDArray[np.intp], Floats]:
        check_finite(outputs.values)
        best = np.argsort(-outputs.values, axis=1, kind="stable")[:, : self._top]
        return best, np.take_along_axis(outputs.values, best, axis=1)


def compute_softmax(outputs: Tensor) -> Floats:
    """Return float32 probabilities of the outputs (n, classes): each row adds up to 1."""
    exponentials = np.exp(np.subtract(outputs, outputs.max(axis=1, keepdims=True), dtype=np.float32))
    probabilities: Floats = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def _takes_batches(scorer: Scorer) -> bool:
    return scorer.signature is None or scorer.signature.is_batched()


def _require_labels(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    labels = read_labels(folder, manifest)
    if not labels:
        raise ManifestInvalidError(
            "manifest.json: labels is missing: image-classification needs one label per class, in class order, as a list or "
            "as the name of a file in the artifact."
        )
    return labels


def _read_json_images(payload: object) -> list[tuple[str, bytes]]:
    images = get_input(payload)
    if not isinstance(images, Mapping):
        raise MissingInputError('input must be an object of images: send {"input": {"<name>": "<base64>"}}.')
    _check_count(len(images))
    return [(name, decode_base64(name, text)) for name, text in images.items()]


def _get_bytes(name: str, value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | bytearray) else decode_base64(name, value)


def _check_count(count: int) -> None:
    if count > MAX_IMAGES:
        raise TooManyImagesError(
            f"{count} images in one request; at most {MAX_IMAGES} are scored. Send several requests."
        )


def _check_names_differ(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise MissingInputError(f"Several images are named {name!r}: give each part a field name of its own.")


def _encode(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
