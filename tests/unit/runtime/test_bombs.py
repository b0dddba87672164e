"""Small requests that would become large ones: images, JSON and multipart bodies. Each is refused in bounded time and memory."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
from flask.testing import FlaskClient
from PIL import Image

from scoring_runtime.errors import ImageTooLargeError, RequestError
from scoring_runtime.images import decode_image

MAX_PIXELS = 1_000_000
MOST_BYTES = 64 * 2**20


@pytest.fixture
def memory() -> Iterator[Callable[[], int]]:
    """Yield a function that returns the peak of Python's memory since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def write_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def write_png(width: int, height: int, *chunks: bytes) -> bytes:
    head = write_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + write_chunk(b"IEND", b"")


def encode(image_format: str, size: int) -> bytes:
    buffer = BytesIO()
    Image.new("L", (size, size)).save(buffer, image_format)
    return buffer.getvalue()


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "WEBP", "JPEG", "TIFF", "BMP"])
def test_image_of_many_pixels_is_refused_before_it_is_decoded(image_format: str, memory: Callable[[], int]) -> None:
    # Once before: a format's reader is imported with its first image.
    decode_image("a", encode(image_format, 8), MAX_PIXELS)
    data = encode(image_format, 1200)
    tracemalloc.reset_peak()
    before = memory()
    with pytest.raises(ImageTooLargeError):
        decode_image("a", data, MAX_PIXELS)
    assert memory() - before < 1200 * 1200


def test_png_that_says_more_pixels_than_anybody_has_is_refused() -> None:
    with pytest.raises(ImageTooLargeError):
        decode_image("a", write_png(2**31 - 1, 2**31 - 1), MAX_PIXELS)


def test_png_whose_text_would_fill_the_memory_is_refused(memory: Callable[[], int]) -> None:
    text = write_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * (200 * 2**20)))
    before = memory()
    with pytest.raises(RequestError):
        decode_image("a", write_png(10, 10, text), MAX_PIXELS)
    assert memory() - before < MOST_BYTES


def test_png_whose_pixels_unpack_to_more_than_it_says_ends_in_bounded_memory(memory: Callable[[], int]) -> None:
    pixels = write_chunk(b"IDAT", zlib.compress(bytes(200 * 2**20)))
    before = memory()
    decode_image("a", write_png(10, 10, pixels), MAX_PIXELS)
    assert memory() - before < MOST_BYTES


def test_animation_is_decoded_to_its_first_frame_only() -> None:
    buffer = BytesIO()
    frames = [Image.new("P", (500, 500), color) for color in range(200)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert decode_image("a", buffer.getvalue(), MAX_PIXELS).size == (500, 500)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"input": ' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b'{"input": ' * 200_000,
        b'{"input": ' + b"9" * 1_000_000 + b"}",
        b'{"input": 1e' + b"9" * 100_000 + b"}",
        b'{"input": "' + b"\\ud800" * 100_000 + b'"}',
        b'{"input": "x", ' + b",".join(b'"%d": 0' % number for number in range(100_000)) + b"}",
    ],
    ids=["open", "nested", "objects", "digits", "exponent", "surrogates", "members"],
)
def test_json_bomb_is_answered(faq_client: FlaskClient, body: bytes) -> None:
    for path in ("/score", "/v2/models/model/infer", "/v1/models/model:predict"):
        assert faq_client.post(path, data=body, content_type="application/json").status_code in {200, 400, 413}


def test_multipart_body_of_many_parts_is_refused(image_client: FlaskClient) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nx\r\n'
    body = part * (7 * 2**20 // len(part)) + b"--b--\r\n"
    answer = image_client.post("/score", data=body, content_type="multipart/form-data; boundary=b")
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "TooManyItems")
