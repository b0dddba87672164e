"""Small requests that would become large ones: images, JSON and multipart bodies. Each is refused in bounded time and memory."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
from flask.testing import FlaskClient
from PIL import Image

from scoring_runtime.errors import ImageTooLargeError, InvalidImageError, RequestError
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


Tag = tuple[int, int, int, int]
SHORT, LONG, SIGNED_LONG8 = 3, 4, 17


def write_tiff(tags: list[Tag], pixels: bytes, *, order: str = "<", tail: bytes = b"") -> bytes:
    """Return a grey TIFF of 32 x 32 pixels in one deflated tile; a tag is number, type, count, and value or place."""
    start = 8 + 2 + 12 * (8 + len(tags)) + 4
    content = zlib.compress(pixels)
    layout = [(256, LONG, 1, 32), (257, LONG, 1, 32), (258, SHORT, 1, 8), (259, SHORT, 1, 8), (262, SHORT, 1, 1)]
    layout += [(277, SHORT, 1, 1), (324, LONG, 1, start), (325, LONG, 1, len(content)), *tags]
    head = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(layout))
    packed = (
        struct.pack(f"{order}HHI", *tag[:3])
        + struct.pack(order + ("H" if tag[1] == SHORT else "I"), tag[3]).ljust(4, b"\0")
        for tag in sorted(layout)
    )
    return head + b"".join(packed) + bytes(4) + content + tail


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


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [SHORT, LONG])
def test_tiff_of_one_small_tile_is_read(order: str, kind: int) -> None:
    data = write_tiff([(322, kind, 1, 64), (323, kind, 1, 48)], b"\x7f" * 64 * 48, order=order)
    assert decode_image("a", data, MAX_PIXELS).getpixel((31, 31)) == (127, 127, 127)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [SHORT, LONG])
def test_tiff_whose_tile_is_larger_than_an_image_may_be_is_refused(order: str, kind: int) -> None:
    data = write_tiff([(322, kind, 1, 1024), (323, kind, 1, 1024)], bytes(1024 * 1024), order=order)
    with pytest.raises(ImageTooLargeError) as caught:
        decode_image("a", data, MAX_PIXELS)
    assert caught.value.message == (
        "image 'a' is stored in tiles of 1024 x 1024 pixels; at most 1000000 are read. Store it in smaller ones."
    )


def test_tiff_that_hides_the_size_of_its_tile_is_refused() -> None:
    # libtiff reads this type and Pillow does not; the value lies behind the pixels.
    pixels = bytes(1024 * 1024)
    place = len(write_tiff([(0, 0, 0, 0)] * 2, pixels))
    hidden: list[Tag] = [(322, SIGNED_LONG8, 1, place), (323, SIGNED_LONG8, 1, place)]
    with pytest.raises(InvalidImageError):
        decode_image("a", write_tiff(hidden, pixels, tail=struct.pack("<q", 1024)), MAX_PIXELS)


def test_tiff_that_gives_the_size_of_its_tile_twice_is_refused_by_the_larger() -> None:
    tile: list[Tag] = [(322, SHORT, 1, 32), (322, SHORT, 1, 1024), (323, SHORT, 1, 32), (323, SHORT, 1, 1024)]
    with pytest.raises(ImageTooLargeError):
        decode_image("a", write_tiff(tile, bytes(32 * 32)), MAX_PIXELS)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of tags that it skips
def test_tiff_whose_tags_all_name_the_same_bytes_is_refused() -> None:
    # libtiff copies the bytes of each tag: a hundred times those of the file.
    tile: list[Tag] = [(322, SHORT, 1, 32), (323, SHORT, 1, 32)]
    tags: list[Tag] = [(40_000 + number, 1, 2**16, 8) for number in range(100)]
    with pytest.raises(InvalidImageError):
        decode_image("a", write_tiff([*tile, *tags], bytes(32 * 32), tail=bytes(2**16)), MAX_PIXELS)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_big_tiff_is_read_in_the_one_byte_order_in_which_pillow_and_libtiff_agree() -> None:
    buffer = BytesIO()
    Image.new("L", (8, 8), 9).save(buffer, "TIFF", big_tiff=True, compression="tiff_adobe_deflate")
    data = buffer.getvalue()
    assert decode_image("a", data, MAX_PIXELS).getpixel((7, 7)) == (9, 9, 9)
    with pytest.raises(InvalidImageError):
        decode_image("a", b"MM\0+\0\x08\0\0" + data[8:], MAX_PIXELS)


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
