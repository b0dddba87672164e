"""The task image-classification alone: its images equal torchvision's, its batches, its answers and its tensors."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as transforms
from torchvision.transforms._presets import ImageClassification as Preset

from scoring_runtime.errors import (
    InvalidInputError,
    ManifestInvalidError,
    MissingInputError,
    RequestError,
    ScoringFailedError,
    TooManyImagesError,
)
from scoring_runtime.manifest import Manifest, Preprocessing
from scoring_runtime.pixels import crop_image, normalise_images
from scoring_runtime.scorers import ModelSource
from scoring_runtime.tasks import RequestBody, TaskLimits
from scoring_runtime.tasks.image_classification import ImageClassification
from scoring_runtime.tensors import Signature, Tensors, TensorSpec

LABELS = ("dark", "bright", "red")
EDGE = 8
SIZES = [(640, 480), (480, 640), (1920, 1080), (333, 501), (224, 224), (232, 232), (100, 37), (17, 160), (1, 1)]


class MeanScorer:
    """Answers (-mean, mean, red) of what it is given, and keeps the shapes and names that it saw."""

    model: Any = None
    signature: Signature | None = None

    def __init__(self, device: str = "cpu", layout: str = "NCHW") -> None:
        self.report: Mapping[str, Any] = {"device": device}
        self.layout = layout
        self.seen: list[tuple[str, tuple[int, ...], str]] = []

    def load(self, source: ModelSource) -> None: ...

    def score(self, batch: Tensors) -> Tensors:
        ((name, images),) = batch.items()
        self.seen.append((name, images.shape, str(images.dtype)))
        channels = images if self.layout == "NCHW" else images.transpose(0, 3, 1, 2)
        mean = channels.mean(axis=(1, 2, 3), dtype=np.float32)
        return {"scores": np.stack([-mean, mean, channels[:, 0].mean(axis=(1, 2), dtype=np.float32)], axis=1)}


class PixelMeanScorer(MeanScorer):
    """Takes pixels, as the torch scorer does."""

    def score_images(self, pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
        self.seen.append(("pixels", pixels.shape, str(pixels.dtype)))
        return next(iter(self.score({"image": normalise_images(pixels, preprocessing, "NCHW")}).values()))


def make_task(scorer: MeanScorer | None = None, **fields: Any) -> ImageClassification:
    preprocessing = {"resizeSize": EDGE, "cropSize": EDGE}
    parameters = {"preprocessing": preprocessing, **fields.pop("parameters", {})}
    values: dict[str, Any] = {"name": "m", "version": "1", "task": "image-classification", "labels": LABELS, **fields}
    task = ImageClassification(
        Manifest(**values, parameters=parameters),
        Path("/nowhere"),
        TaskLimits(max_image_pixels=1_000_000, decoding_threads=1),
    )
    task.attach(scorer or MeanScorer())
    return task


def draw(value: Any, edge: int = EDGE) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (edge, edge), value).save(buffer, "PNG")
    return buffer.getvalue()


def send(*values: str) -> RequestBody:
    return RequestBody(files=tuple((f"image {row}", draw(value)) for row, value in enumerate(values)))


def make_signature(*shape: int, name: str = "x", datatype: Any = "FP32") -> Signature:
    return Signature(inputs=(TensorSpec(name=name, datatype=datatype, shape=shape),))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"])
@pytest.mark.parametrize(("resize", "crop"), [(232, 224), (256, 224), (224, 224), (50, 77), (61, 31)])
def test_crop_equals_torchvisions_within_one_step(
    photograph: Image.Image, interpolation: Any, resize: int, crop: int
) -> None:
    how = Preprocessing(resizeSize=resize, cropSize=crop, interpolation=interpolation)
    for size in SIZES:
        image = photograph.resize(size)
        resized = transforms.resize(image, [resize], InterpolationMode(interpolation))
        expected = np.asarray(transforms.center_crop(resized, [crop]))

        pixels = crop_image(image, how)
        assert pixels.dtype == np.uint8
        np.testing.assert_allclose(pixels.astype(int), expected.astype(int), atol=1, rtol=0, err_msg=str(size))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_input_equals_torchvisions_preset_in_either_layout(photograph: Image.Image, layout: Any) -> None:
    how = Preprocessing(
        resizeSize=232, cropSize=224, interpolation="bicubic", mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3)
    )
    preset = Preset(crop_size=224, resize_size=232, interpolation=InterpolationMode.BICUBIC, mean=how.mean, std=how.std)
    expected = torch.stack([preset(photograph), preset(photograph.rotate(180))]).numpy()

    pixels = np.stack([crop_image(photograph, how), crop_image(photograph.rotate(180), how)])
    batch = normalise_images(pixels, how, layout)
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    np.testing.assert_allclose(batch if layout == "NCHW" else batch.transpose(0, 3, 1, 2), expected, atol=1e-5)


def test_all_requests_are_scored_as_one_batch_and_answered_apart() -> None:
    scorer = MeanScorer()
    task = make_task(scorer)
    requests = [task.read(send("black", "white")), task.read(send("red"))]
    first, second = task.score(requests)

    assert scorer.seen == [("image", (3, 3, EDGE, EDGE), "float32")]
    assert [task.count(request) for request in requests] == [2, 1]
    answer = task.write(first)
    assert [answer["image 0"][0][0], answer["image 1"][0][0]] == ["dark", "bright"]
    assert list(task.write(second)) == ["image 0"]
    assert task.write(second)["image 0"][0][0] == "red"
    assert sum(probability for _, probability in answer["image 0"]) == pytest.approx(1)


def test_batch_has_the_layout_name_and_type_that_the_model_takes() -> None:
    scorer = MeanScorer(layout="NHWC")
    scorer.signature = make_signature(-1, EDGE, EDGE, 3, name="pixels", datatype="FP16")
    task = make_task(scorer, parameters={"layout": "NHWC"})
    task.score([task.read(send("red"))])
    assert scorer.seen == [("pixels", (1, EDGE, EDGE, 3), "float16")]


def test_images_are_scored_one_by_one_when_the_model_takes_one() -> None:
    scorer = MeanScorer(device="cuda:0")
    scorer.signature = make_signature(1, 3, EDGE, EDGE)
    task = make_task(scorer)
    (outputs,) = task.score([task.read(send("black", "white"))])

    assert scorer.seen == [("x", (1, 3, EDGE, EDGE), "float32")] * 2
    assert [pairs[0][0] for pairs in task.write(outputs).values()] == ["dark", "bright"]
    assert task.max_batch_size == 1


def test_pixels_go_to_a_scorer_that_normalises_them_itself() -> None:
    scorer = PixelMeanScorer("cuda")
    task = make_task(scorer)
    (outputs,) = task.score([task.read(send("white"))])
    assert scorer.seen[0] == ("pixels", (1, EDGE, EDGE, 3), "uint8")
    assert task.write(outputs)["image 0"][0][0] == "bright"


@pytest.mark.parametrize(("device", "size"), [("cpu", 1), ("cuda:0", 32)])
def test_requests_are_gathered_where_that_helps(device: str, size: int) -> None:
    assert make_task(MeanScorer(device)).max_batch_size == size


def test_outputs_are_the_probabilities_without_an_activation() -> None:
    class Certain(MeanScorer):
        def score(self, batch: Tensors) -> Tensors:
            return {"p": np.array([[[[0.2]], [[0.7]], [[0.1]]]])}

    task = make_task(Certain(), parameters={"activation": "none", "top": 2})
    (outputs,) = task.score([task.read(send("red"))])
    assert task.write(outputs) == {"image 0": [["bright", pytest.approx(0.7)], ["dark", pytest.approx(0.2)]]}


def test_tensors_of_encoded_images_are_answered_with_labels_and_probabilities() -> None:
    task = make_task(parameters={"top": 2})
    images = np.array([draw("black"), base64.b64encode(draw("white")).decode()], dtype=object)
    (outputs,) = task.score([task.read_tensors({"image": images})])

    answer = task.write_tensors(outputs)
    assert answer["label"].tolist() == [["dark", "bright"], ["bright", "red"]]
    assert answer["probability"].dtype == np.float32
    assert answer["probability"].shape == (2, 2)
    assert [(spec.name, spec.datatype, spec.shape) for spec in task.signature.outputs] == [
        ("label", "BYTES", (-1, 2)),
        ("probability", "FP32", (-1, 2)),
    ]


@pytest.mark.parametrize(
    ("tensors", "error", "message"),
    [
        ({"pixels": np.zeros(1)}, MissingInputError, "no tensor named image"),
        ({"image": np.zeros(0, dtype=object)}, RequestError, "at least one image"),
        ({"image": np.zeros((1, 3, EDGE, EDGE), np.float32)}, InvalidInputError, r"send BYTES of the shape \[n\]"),
        ({"image": np.zeros((1, 3), np.int64)}, InvalidInputError, r"send BYTES of the shape \[n\]"),
        ({"image": np.full(33, b"", dtype=object)}, TooManyImagesError, "at most 32"),
        ({"image": np.array([b"no image"], dtype=object)}, RequestError, r"image 'image\[0\]' is not an image"),
    ],
)
def test_tensors_are_refused_with_what_would_do(tensors: Tensors, error: type[RequestError], message: str) -> None:
    with pytest.raises(error, match=message):
        make_task().read_tensors(tensors)


def test_labels_are_required_and_counted() -> None:
    with pytest.raises(ManifestInvalidError, match="labels is missing"):
        make_task(labels=None)
    task = make_task(labels=("only", "two"))
    with pytest.raises(ManifestInvalidError, match="there are 2, but the model answers 3 classes"):
        task.score([task.read(send("red"))])


def test_a_number_that_is_none_fails_its_own_request_alone() -> None:
    class Broken(MeanScorer):
        def score(self, batch: Tensors) -> Tensors:
            outputs = np.zeros((2, 3), np.float32)
            outputs[0, 1] = np.nan
            return {"scores": outputs}

    task = make_task(Broken())
    bad, good = task.score([task.read(send("red")), task.read(send("red"))])
    with pytest.raises(ScoringFailedError):
        task.write(bad)
    assert len(task.write(good)["image 0"]) == 3
