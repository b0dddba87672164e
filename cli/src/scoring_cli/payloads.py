"""What is sent to a model: a text, an image, or JSON, as bodies of `/score`."""

import json
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from scoring_cli.endpoint import Payload
from scoring_cli.errors import InputInvalid
from scoring_cli.files import read_text


@dataclass(frozen=True)
class Given:
    """What the options give, of which one is used."""

    text: str | None = None
    image: Path | None = None
    file: Path | None = None


def read_payload(given: Given) -> Payload:
    """Return the request. Raises InputInvalid unless exactly one thing is given, and can be read."""
    if sum(one is not None for one in (given.text, given.image, given.file)) != 1:
        raise InputInvalid("Give one of --text, --image and --json.")
    if given.text is not None:
        return Payload(json.dumps({"input": given.text}).encode())
    if given.image is not None:
        return _read_image(given.image)
    return _read_json("" if given.file is None else read_text(given.file, "--json"))


def _read_image(path: Path) -> Payload:
    kind = mimetypes.guess_type(path.name)[0] or ""
    if not kind.startswith("image/"):
        raise InputInvalid(
            f"--image: {path.name} does not look like an image: name a .jpg, .png, .webp or another one by its ending."
        )
    return Payload(path.read_bytes(), kind)


def _read_json(text: str) -> Payload:
    """Return a whole request body; what has no `input` becomes the input."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputInvalid(f"--json: this is no JSON: {error}.") from error
    body = value if isinstance(value, dict) and "input" in value else {"input": value}
    return Payload(json.dumps(body).encode())
