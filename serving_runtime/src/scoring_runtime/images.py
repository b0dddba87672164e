"""Decoding of encoded images with Pillow: limits are checked from the header, before any pixel is decoded.

Of the formats read here only TIFF lets a file say how much is read at once beside the size of the image.
"""

import base64
import binascii
import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Literal

from PIL import Image, ImageFile

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

# The headers of the TIFFs that Pillow and libtiff read alike: byte order, place and form of the first directory's offset,
# form of its number of tags, form of a tag (number, type, count, value or place).
_TIFF_HEADERS: Mapping[bytes, tuple[Literal["little", "big"], int, str, str, str]] = {
    b"II*\0": ("little", 4, "<I", "<H", "<HHI4s"),
    b"MM\0*": ("big", 4, ">I", ">H", ">HHI4s"),
    b"II+\0": ("little", 8, "<Q", "<Q", "<HHQ8s"),
}
_TILE_WIDTH, _TILE_LENGTH = 322, 323
# Bytes of one value by its type; values of other types nobody reads.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE_NUMBERS = (3, 4)

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
        if any(tile.codec_name == "libtiff" for tile in image.tile):
            _check_tiff(name, data, max_pixels)
        image.load()
        # Also of an image in RGB, `convert` makes a copy.
        return image if image.mode == "RGB" else image.convert("RGB")
    except _DAMAGED as error:
        raise _explain_damage(name, error) from error


def _open_image(name: str, data: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except _DAMAGED as error:
        if _is_short_webp(data):
            raise TruncatedImageError(f"image {name!r} is truncated: send the whole file.") from error
        raise InvalidImageError(
            f"image {name!r} is not an image that can be read: send one of {', '.join(FORMATS)}."
        ) from error


def _check_tiff(name: str, data: bytes, max_pixels: int) -> None:
    """Refuse what takes libtiff memory beyond that of the pixels: it reads a whole tile, and the bytes of each tag.

    Strips are no wider and no longer than the image, whatever their tags say. Read from the bytes, since Pillow's list of tags
    leaves out what it does not understand and libtiff does. Raises ImageTooLargeError; ValueError and others for damage.
    """
    order, tags = _read_tags(data)
    tile = {_TILE_WIDTH: 1, _TILE_LENGTH: 1}
    elsewhere_bytes = 0
    for tag, kind, count, value in tags:
        size_bytes = count * _TYPE_BYTES.get(kind, 0)
        if size_bytes > len(value):
            elsewhere_bytes += size_bytes
        if tag in tile:
            if kind not in _WHOLE_NUMBERS or count != 1:
                raise ValueError("the size of a tile is no whole number")
            tile[tag] = max(tile[tag], int.from_bytes(value[:size_bytes], order))
    if elsewhere_bytes > len(data):
        raise ValueError("its tags have more bytes than the file")
    width, length = tile.values()
    if width * length > max_pixels:
        raise ImageTooLargeError(
            f"image {name!r} is stored in tiles of {width} x {length} pixels; at most {max_pixels} are read. "
            "Store it in smaller ones."
        )


def _read_tags(data: bytes) -> tuple[Literal["little", "big"], list[tuple[int, int, int, bytes]]]:
    """Return the byte order and the tags of a TIFF's first image: number, type, count, value or place."""
    order, place, offset_form, count_form, tag_form = _TIFF_HEADERS[data[:4]]
    (start,) = struct.unpack_from(offset_form, data, place)
    (count,) = struct.unpack_from(count_form, data, start)
    start += struct.calcsize(count_form)
    return order, list(struct.iter_unpack(tag_form, data[start : start + count * struct.calcsize(tag_form)]))


def _is_short_webp(data: bytes) -> bool:
    # Its header holds its length, and its reader reads all or nothing.
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) < int.from_bytes(data[4:8], "little") + 8


def _explain_damage(name: str, error: Exception) -> InvalidImageError | TruncatedImageError:
    text = str(error).lower()
    if isinstance(error, EOFError) or any(word in text for word in _TRUNCATED_WORDS):
        return TruncatedImageError(f"image {name!r} is truncated: send the whole file.")
    return InvalidImageError(f"image {name!r} is damaged: it could not be decoded.")
