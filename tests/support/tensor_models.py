"""Models of the format `python` for tests of the protocols: they compute next to nothing, and tell their tensors."""

import json
import threading
from pathlib import Path
from time import sleep
from typing import Any, ClassVar

import numpy as np

Tensors = dict[str, Any]

DATATYPES = {
    "BOOL": np.bool_,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}


def describe(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape}


class Table:
    """Sums rows of four numbers, and names each sum's sign. Rows of zeros fail."""

    signature: ClassVar[Any] = {
        "inputs": [describe("features", "FP64", -1, 4)],
        "outputs": [describe("sum", "FP64", -1), describe("sign", "BYTES", -1)],
    }

    def load(self, _path: Path) -> None:
        pass

    def score(self, batch: Tensors) -> Tensors:
        sums = batch["features"].sum(axis=1)
        if not sums.all():
            raise ValueError("no sign of a secret")
        return {"sum": sums, "sign": np.where(sums < 0, "negative", "positive").astype(object)}


class UnhurriedTable(Table):
    """The same, 50 ms for each batch: requests at the same time meet in one."""

    def score(self, batch: Tensors) -> Tensors:
        sleep(0.05)
        return super().score(batch)


class Sleeper(Table):
    """The same, after a tenth of the first number of a batch in seconds."""

    def score(self, batch: Tensors) -> Tensors:
        sleep(batch["features"][0, 0] / 10)
        return super().score(batch)


class Mirror:
    """Answers its inputs, one of each datatype, as outputs of the same names in upper case."""

    signature: ClassVar[Any] = {
        "inputs": [describe(name.lower(), name, -1, 2) for name in DATATYPES],
        "outputs": [describe(name, name, -1, 2) for name in DATATYPES],
    }

    def load(self, _path: Path) -> None:
        pass

    def score(self, batch: Tensors) -> Tensors:
        return {name.upper(): tensor for name, tensor in batch.items()}


class Upper:
    """Texts in, texts in capitals and their lengths out; tells nothing of its outputs."""

    signature: ClassVar[Any] = {"inputs": [describe("text", "BYTES", -1)]}

    def load(self, _path: Path) -> None:
        pass

    def score(self, batch: Tensors) -> Tensors:
        texts = [str(text) for text in batch["text"]]
        return {
            "upper": np.array([text.upper() for text in texts], dtype=object),
            "length": np.array(list(map(len, texts))),
        }


class Surrogate(Upper):
    """Answers a text that no JSON can say."""

    def score(self, batch: Tensors) -> Tensors:
        return {"upper": np.full(len(batch["text"]), "\ud800", dtype=object)}


class Columns:
    """Two columns of a table: a text and a whole number."""

    signature: ClassVar[Any] = {
        "inputs": [describe("city", "BYTES", -1), describe("age", "INT64", -1)],
        "outputs": [describe("known", "BOOL", -1), describe("months", "INT64", -1)],
    }

    def load(self, _path: Path) -> None:
        pass

    def score(self, batch: Tensors) -> Tensors:
        return {"known": np.array([city == "Bern" for city in batch["city"]]), "months": batch["age"] * 12}


class Gate:
    """Answers its input once the gate is open."""

    signature: ClassVar[Any] = {
        "inputs": [describe("value", "FP64", -1)],
        "outputs": [describe("same", "FP64", -1)],
    }
    _opened = threading.Event()
    _entered = threading.Event()
    _opened.set()

    @classmethod
    def close(cls) -> None:
        cls._entered.clear()
        cls._opened.clear()

    @classmethod
    def open(cls) -> None:
        cls._opened.set()

    @classmethod
    def wait_for_visitor(cls) -> None:
        assert cls._entered.wait(60)

    def load(self, _path: Path) -> None:
        pass

    def score(self, batch: Tensors) -> Tensors:
        self._entered.set()
        assert self._opened.wait(60)
        return {"same": batch["value"]}


def write_artifact(folder: Path, class_name: str, **fields: Any) -> Path:
    """Write the manifest of one of these models and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "name": "tensors",
        "version": "1.2.3",
        "format": "python",
        "task": "prediction",
        "options": {"class": f"tensor_models:{class_name}"},
    }
    (folder / "manifest.json").write_text(json.dumps({**manifest, **fields}))
    return folder


TABLE_EXAMPLE = {"input": [[1, 2, 3, 4]]}
