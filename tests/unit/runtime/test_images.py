"""Image classification over HTTP: equal to a direct torchvision run, and every way an image can be wrong."""

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification
from werkzeug.test import TestResponse

from scoring_runtime.errors import InvalidImageError, RequestError
from scoring_runtime.images import decode_image


def encode(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def jpeg(photograph: Image.Image) -> bytes:
    return encode(photograph, "JPEG")


@pytest.fixture
def client(image_client: FlaskClient) -> FlaskClient:
    return image_client


def post_json(client: FlaskClient, **images: Any) -> TestResponse:
    return client.post("/score", json={"input": images})


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def run_directly(network: torch.nn.Module, data: bytes) -> list[list[Any]]:
    transform = ImageClassification(crop_size=224, resize_size=232, interpolation=InterpolationMode.BILINEAR)
    with torch.inference_mode():
        probabilities = network(transform(Image.open(io.BytesIO(data)).convert("RGB")).unsqueeze(0)).softmax(1)[0]
    best = probabilities.topk(3)
    return [[f"n{index:04} thing {index}", value] for value, index in zip(*map(torch.Tensor.tolist, best), strict=True)]


def expect_equal(result: list[list[Any]], expected: list[list[Any]]) -> None:
    assert [label for label, _ in result] == [label for label, _ in expected]
    assert [value for _, value in result] == pytest.approx([value for _, value in expected], abs=1e-4)


def test_a_photograph_gets_the_probabilities_of_a_direct_run(
    client: FlaskClient, network: torch.nn.Module, jpeg: bytes
) -> None:
    answer = post_json(client, china=text(jpeg))

    images, computed = answer.json["result"]
    expect_equal(images["china"], run_directly(network, jpeg))
    assert computed.startswith("Computed in ")


def test_the_three_ways_to_send_an_image_agree(client: FlaskClient, jpeg: bytes) -> None:
    by_json = post_json(client, image=text(jpeg)).json["result"][0]
    raw = client.post("/score", data=jpeg, content_type="image/jpeg").json["result"][0]
    form = client.post("/score", data={"image": (io.BytesIO(jpeg), "any.jpg")}).json["result"][0]

    assert list(by_json) == list(raw) == list(form) == ["image"]
    assert by_json == raw == form


def test_several_images_are_answered_in_their_order(client: FlaskClient, network: torch.nn.Module, jpeg: bytes) -> None:
    grey = encode(Image.new("L", (300, 200), 90))
    body = orjson.dumps({"input": {"zebra": text(jpeg), "apple": text(grey)}})
    answer = client.post("/score", data=body, content_type="application/json")

    images = answer.json["result"][0]
    assert list(images) == ["zebra", "apple"]
    expect_equal(images["zebra"], run_directly(network, jpeg))
    expect_equal(images["apple"], run_directly(network, grey))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "I;16"])
def test_every_colour_mode_is_read_as_rgb(client: FlaskClient, network: torch.nn.Module, mode: str) -> None:
    data = encode(Image.new("L", (64, 48), 200).convert(mode), "TIFF" if mode == "CMYK" else "PNG")
    images = post_json(client, image=text(data)).json["result"][0]
    expect_equal(images["image"], run_directly(network, data))


def test_base64_with_line_breaks_is_read(client: FlaskClient, jpeg: bytes) -> None:
    assert post_json(client, image=base64.encodebytes(jpeg).decode()).status_code == 200


def claim_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("value", "status", "code", "message"),
    [
        ("not base64!", 400, "InvalidBase64", "image 'x' is not base64: send the encoded file as plain base64, without a prefix."),
        ("data:image/png;base64,AAAA", 400, "InvalidBase64", "image 'x' is not base64: send the encoded file as plain base64, without a prefix."),
        ("é", 400, "InvalidBase64", "image 'x' is not base64: send the encoded file as plain base64, without a prefix."),
        (5, 400, "InvalidBase64", "image 'x' is not a string: send the encoded file as base64."),
        ("", 400, "EmptyInput", "image 'x' is empty: send an encoded image."),
        (text(b"no image"), 400, "InvalidImage", "image 'x' is not an image that can be read: send one of JPEG, PNG, WEBP, GIF, BMP, TIFF."),
        (text(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), 400, "InvalidImage",
         "image 'x' is not an image that can be read: send one of JPEG, PNG, WEBP, GIF, BMP, TIFF."),
        (text(claim_size(50_000, 50_000)), 413, "ImageTooLarge", "image 'x' has 50000 x 50000 pixels; at most 33554432 are read. Send a smaller one."),
        (text(encode(Image.new("L", (20_000, 1)))), 413, "ImageTooLarge", "image 'x' is too long and thin (20000 to 1): send a part of it."),
    ],
)  # fmt: skip
def test_a_bad_image_is_refused(client: FlaskClient, value: Any, status: int, code: str, message: str) -> None:
    answer = post_json(client, x=value)
    assert (answer.status_code, answer.json) == (status, {"error": {"code": code, "message": message}})


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_half_an_image_is_truncated(client: FlaskClient, photograph: Image.Image, kind: str) -> None:
    data = encode(photograph, kind)
    answer = client.post("/score", data=data[: len(data) // 2], content_type="image/x")

    message = "image 'image' is truncated: send the whole file."
    assert (answer.status_code, answer.json) == (400, {"error": {"code": "TruncatedImage", "message": message}})


@pytest.mark.parametrize(
    ("payload", "code", "message"),
    [
        (
            {"input": "abc"},
            "MissingInput",
            'input must be an object of images: send {"input": {"<name>": "<base64>"}}.',
        ),
        ({"input": {}}, "EmptyInput", "The request holds no image: send at least one."),
        ({"image": "abc"}, "MissingInput", 'The body has no input: send a JSON object such as {"input": …}.'),
        (
            {"input": {str(number): "" for number in range(33)}},
            "TooManyImages",
            "33 images in one request; at most 32 are scored. Send several requests.",
        ),
    ],
)
def test_bad_json_of_images_is_refused(client: FlaskClient, payload: Any, code: str, message: str) -> None:
    answer = client.post("/score", json=payload)
    assert (answer.status_code, answer.json) == (400, {"error": {"code": code, "message": message}})


def test_a_form_without_files_and_one_with_equal_names_are_refused(client: FlaskClient, jpeg: bytes) -> None:
    none = client.post("/score", data={"image": "text"}, content_type="multipart/form-data")
    assert none.json["error"]["code"] == "EmptyInput"

    twice = client.post("/score", data={"image": [(io.BytesIO(jpeg), "a"), (io.BytesIO(jpeg), "b")]})
    assert twice.status_code == 400
    assert twice.json["error"] == {
        "code": "MissingInput",
        "message": "Several images are named 'image': give each part a field name of its own.",
    }


@pytest.mark.parametrize("chunked", [False, True])
def test_a_form_larger_than_the_limit_is_refused(
    make_client: Any, image_folder: Path, jpeg: bytes, chunked: bool
) -> None:
    client = make_client(image_folder, max_body_bytes=len(jpeg))
    body = (
        b'--xx\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n--xx--\r\n"
    )
    options: dict[str, Any] = {"data": body}
    if chunked:
        options = {"input_stream": io.BytesIO(body), "environ_overrides": {"wsgi.input_terminated": True}}
    answer = client.post("/score", content_type="multipart/form-data; boundary=xx", **options)
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "BodyTooLarge")


def test_another_content_type_names_the_accepted_ones(client: FlaskClient) -> None:
    answer = client.post("/score", data=b"", content_type="text/plain")
    message = "Content-Type 'text/plain' is not read here. Send one of: application/json, multipart/form-data, image/*."
    assert (answer.status_code, answer.json) == (415, {"error": {"code": "UnsupportedMediaType", "message": message}})


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged TIFF tags, then raises
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_no_damage_of_an_image_raises_anything_but_a_request_error(kind: str) -> None:
    data = encode(Image.linear_gradient("L").resize((40, 40)).convert("RGB"), kind)

    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, len(data)), st.integers(0, len(data) - 1), st.integers(0, 255))
    def check(length: int, position: int, value: int) -> None:
        damaged = bytearray(data)
        damaged[position] = value
        try:
            decode_image("x", bytes(damaged[:length]), 10_000)
        except RequestError:
            return

    check()


def test_random_bytes_are_a_small_image_or_a_documented_error() -> None:
    """Hypothesis knows the signatures of image formats from the code, so that some of its bytes are images indeed."""

    @settings(deadline=None)
    @given(st.binary(min_size=1, max_size=100))
    def check(data: bytes) -> None:
        try:
            image = decode_image("x", data, 100)
        except RequestError:
            return
        assert image.width * image.height <= 100

    check()


@pytest.mark.parametrize(
    "data", [b"\x00", b"no image at all", b"%PDF-1.7\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_other_bytes_are_no_image(data: bytes) -> None:
    with pytest.raises(InvalidImageError):
        decode_image("x", data, 100)
