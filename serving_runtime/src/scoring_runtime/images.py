"""Decoding of encoded images with Pillow: limits are checked from the header, before any pixel is decoded."""

import base64
import binascii
import struct
import zlib
from io import BytesIO

from PIL import Image

from scoring_runtime.errors import (
    EmptyInputError,
    ImageTooLargeError,
    InvalidBase64Error,
    InvalidImageError,
    TruncatedImageError,
)

# Photographs and graphics only: Pillow's other readers start programs (EPS) or are little tested.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
# What Pillow's readers raise on damaged files.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    struct.error,
    zlib.error,
)
_TRUNCATED_WORDS = ("truncated", "unexpected end", "end of file", "not enough", "incomplete")

# The limit is ours, from the settings; Pillow's own would warn or raise at other sizes.
Image.MAX_IMAGE_PIXELS = None


def decode_base64(name: str, text: object) -> bytes:
    """Return the bytes of a base64 string; line breaks are allowed. Raises InvalidBase64Error."""
    if not isinstance(text, str):
        raise InvalidBase64Error(f"image {name!r} is not a string: send the encoded file as base64.")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidBase64Error(
            f"image {name!r} is not base64: send the encoded file as plain base64, without a prefix."
        ) from error


def decode_image(name: str, data: bytes, max_pixels: int) -> Image.Image:
    """Return the image in RGB, its first frame as stored (an EXIF orientation is not applied, as in torchvision).

    Raises EmptyInputError, InvalidImageError, ImageTooLargeError or TruncatedImageError.
    """
    if not data:
        raise EmptyInputError(f"image {name!r} is empty: send an encoded image.")
    image = _open_image(name, data)
    width, height = image.size
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"image {name!r} has {width} x {height} pixels; at most {max_pixels} are read. Send a smaller one."
        )
    try:
        image.load()
        # Also of an image in RGB, `convert` makes a copy.
        return image if image.mode == "RGB" else image.convert("RGB")
    except _DAMAGED as error:
        raise _explain_damage(name, error) from error


def _open_image(name: str, data: bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except _DAMAGED as error:
        if _is_short_webp(data):
            raise TruncatedImageError(f"image {name!r} is truncated: send the whole file.") from error
        raise InvalidImageError(
            f"image {name!r} is not an image that can be read: send one of {', '.join(FORMATS)}."
        ) from error


def _is_short_webp(data: bytes) -> bool:
    # Its header holds its length, and its reader reads all or nothing.
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) < int.from_bytes(data[4:8], "little") + 8


def _explain_damage(name: str, error: Exception) -> InvalidImageError | TruncatedImageError:
    text = str(error).lower()
    if isinstance(error, EOFError) or any(word in text for word in _TRUNCATED_WORDS):
        return TruncatedImageError(f"image {name!r} is truncated: send the whole file.")
    return InvalidImageError(f"image {name!r} is damaged: it could not be decoded.")
