"""Asks two served models with MLServer's own types and codecs, and prints what they decode.

A program for MLServer's environment (build/mlserver), since its dependencies are not this project's.
"""

import json
import sys
import urllib.error
import urllib.request

import grpc
import numpy as np
import pandas as pd
from mlserver.codecs import Base64Codec, NumpyCodec, PandasCodec, StringCodec
from mlserver.grpc.converters import ModelInferRequestConverter, ModelInferResponseConverter
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from mlserver.types import InferenceErrorResponse, InferenceRequest, InferenceResponse, MetadataModelResponse

ROWS = np.array([[1, 2, 3, 4.5], [-1, -2, -3, -4]])
INFER = "/v2/models/model/infer"


def ask(port: str, path: str, body: InferenceRequest | None = None) -> str:
    """Return the body of an answer, also of an error."""
    content = None if body is None else body.model_dump_json(exclude_none=True).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as error:
        return error.read().decode()


def infer(port: str, request: InferenceRequest) -> InferenceResponse:
    """Return the answer to a request."""
    return InferenceResponse.model_validate_json(ask(port, INFER, request))


def infer_over_grpc(port: str, request: InferenceRequest) -> InferenceResponse:
    """Return the same over gRPC."""
    message = ModelInferRequestConverter.from_types(request, model_name="model", model_version=None)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return ModelInferResponseConverter.to_types(GRPCInferenceServiceStub(channel).ModelInfer(message, timeout=60))


def main(table: str, table_grpc: str, columns: str) -> None:
    """Print what MLServer's codecs make of the answers."""
    rows = InferenceRequest(inputs=[NumpyCodec.encode_input("features", ROWS)])
    wrong = InferenceRequest(inputs=[NumpyCodec.encode_input("other", ROWS)])
    frame = PandasCodec.encode_request(pd.DataFrame({"city": ["Bern", "Chur"], "age": [2, 3]}))
    age = NumpyCodec.encode_input("age", np.array([2]))
    bern = InferenceRequest(inputs=[Base64Codec.encode_input("city", [b"Bern"]), age])
    answer = infer(table, rows)
    model = MetadataModelResponse.model_validate_json(ask(table, "/v2/models/model"))
    shown = {
        "metadata": [[tensor.name, tensor.datatype, tensor.shape] for tensor in model.inputs or []],
        "numpy": NumpyCodec.decode_output(answer.outputs[0]).tolist(),
        "numpy over gRPC": NumpyCodec.decode_output(infer_over_grpc(table_grpc, rows).outputs[0]).tolist(),
        "strings": StringCodec.decode_output(answer.outputs[1]),
        "pandas": PandasCodec.decode_response(infer(columns, frame)).to_dict("list"),
        "base64": NumpyCodec.decode_output(infer(columns, bern).outputs[0]).tolist(),
        "error": InferenceErrorResponse.model_validate_json(ask(table, INFER, wrong)).error,
    }
    sys.stdout.write(json.dumps(shown))


if __name__ == "__main__":
    main(*sys.argv[1:])
