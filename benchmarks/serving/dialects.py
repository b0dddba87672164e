"""How servers are asked: one Call per protocol, for the trivial model's row and for a picture. Above `servers`."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.serving.servers import Call

ROW = [1.0, 2.0, 3.0, 4.0]
SUM = 10.0

_BOUNDARY = "benchmark-boundary"


@dataclass(frozen=True)
class Picture:
    """An encoded picture and the labels that the model gives it, best first."""

    content: bytes
    labels: Sequence[str]

    @property
    def base64(self) -> str:
        """The picture in base64."""
        return base64.b64encode(self.content).decode()


def ask_row(path: str, field: str = "input", answer: str = "result") -> Call:
    """A JSON object with the row in one field, the answer in another, as web frameworks are used."""
    return Call(path, _dump({field: [ROW]}), [SUM], lambda body: body[answer] if answer else body)


def ask_row_as_ours(path: str = "/score") -> Call:
    """The runtime's own contract: the answer, then how long it took."""
    return Call(path, _dump({"input": [ROW]}), [SUM], lambda body: body["result"][0])


def ask_row_in_v1(model: str) -> Call:
    """KServe's v1 protocol, which is TensorFlow Serving's."""
    return Call(f"/v1/models/{model}:predict", _dump({"instances": [ROW]}), [SUM], lambda body: body["predictions"])


def ask_row_in_v2(model: str) -> Call:
    """The Open Inference Protocol v2."""
    tensor = {"name": "x", "shape": [1, len(ROW)], "datatype": "FP64", "data": ROW}
    return Call(
        f"/v2/models/{model}/infer", _dump({"inputs": [tensor]}), [SUM], lambda body: body["outputs"][0]["data"]
    )


def ask_picture_as_reference(picture: Picture) -> Call:
    """The reference's contract, which is the runtime's too: base64 by name."""
    body = _dump({"input": {"image": picture.base64}})
    return Call("/score", body, picture.labels, lambda answer: _list_labels(answer["result"][0]["image"]))


def ask_picture_raw(picture: Picture, path: str) -> Call:
    """The picture itself as the body."""
    return Call(path, picture.content, picture.labels, lambda answer: _list_labels(answer["result"]), "image/jpeg")


def ask_picture_in_field(picture: Picture) -> Call:
    """A JSON object with the base64 in one field, as LitServe's documentation has it."""
    return Call("/predict", _dump({"image_data": picture.base64}), picture.labels, lambda a: _list_labels(a["output"]))


def ask_picture_in_form(picture: Picture) -> Call:
    """A form with a file, as BentoML's documentation has it."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="image.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + picture.content + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return Call("/classify", body, picture.labels, _list_labels, f"multipart/form-data; boundary={_BOUNDARY}")


def ask_picture_in_v1(picture: Picture) -> Call:
    """KServe's v1 protocol with base64."""
    body = _dump({"instances": [{"image": {"b64": picture.base64}}]})
    return Call("/v1/models/resnet:predict", body, picture.labels, lambda a: _list_labels(a["predictions"][0]))


def ask_picture_in_v2(picture: Picture, shape: Sequence[int]) -> Call:
    """The Open Inference Protocol v2 with base64 in a BYTES tensor."""
    tensor = {"name": "image", "shape": shape, "datatype": "BYTES", "data": [picture.base64]}
    body = _dump({"inputs": [tensor]})
    return Call("/v2/models/resnet/infer", body, picture.labels, lambda a: a["outputs"][0]["data"])


def _list_labels(matches: Sequence[Sequence[Any]]) -> list[str]:
    return [match[0] for match in matches]


def _dump(value: object) -> bytes:
    return json.dumps(value).encode()
