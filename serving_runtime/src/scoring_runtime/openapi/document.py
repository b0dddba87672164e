"""The OpenAPI document of the model that is served: its routes, its tensors, its example. For pages.py; schemas below it.

Written by hand, since the routes that score are none of Flask's, and what they take is known only once the model is.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import orjson

from scoring_runtime.model import ServedModel
from scoring_runtime.openapi.schemas import (
    JSON_TYPE,
    describe_inference_answer,
    describe_inference_request,
    describe_predict_answer,
    describe_predict_request,
    describe_score,
    make_example_tensors,
)
from scoring_runtime.protocols.model_interface import ModelInterface
from scoring_runtime.tensors import DataType, Tensor

OPENAPI_VERSION = "3.1.1"
TEXT_TYPE = "text/plain"

Json = Any

_TAGS = {
    "score": "The model's own request and answer.",
    "Open Inference Protocol": "Named tensors, version 2; the binary tensor extension beside JSON. gRPC has a port of its own.",
    "TensorFlow Serving": "Rows or columns of values, as TensorFlow Serving's REST API has them.",
    "operation": "Probes, metrics and what is served.",
}
_PROBLEMS = {
    "400": "The request is wrong: the message says where, and what to send instead.",
    "404": "Another model or version than the one that is served here.",
    "408": "The body did not come in time: send it faster, or less of it.",
    "413": "The body, an image or the number of items is too large.",
    "415": "The task does not read this content type, or the body is compressed.",
    "500": "The model failed on this request: the server's log says why.",
    "503": "Not ready, or as many requests wait as may wait: try again after Retry-After seconds.",
}


@dataclass(frozen=True)
class Operation:
    """One operation of the document, as the page shows it: `command` asks it, `answers` tells of each status."""

    method: str
    path: str
    summary: str
    media_types: tuple[str, ...]
    command: str
    answers: dict[str, str]


def describe_api(model: ServedModel, interface: ModelInterface, max_body_bytes: int, path_prefix: str = "") -> Json:
    """Return the OpenAPI document of a model; its paths are below the prefix."""
    manifest = model.manifest
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": f"{interface.name}: {manifest.name}",
            "version": manifest.version,
            "summary": f"A model of the format {model.format} for the task {manifest.task}.",
            "description": f"Served by scoring-runtime {version('scoring-runtime')}. A request's body has at most {max_body_bytes} bytes.",
        },
        "servers": [{"url": path_prefix or "/"}],
        "tags": [{"name": name, "description": description} for name, description in _TAGS.items()],
        "paths": {**_describe_scoring(model, interface), **_describe_questions(interface), **_describe_operation()},
        "components": {"schemas": _describe_shapes(), "responses": _describe_problems()},
    }


def list_operations(document: Json) -> Iterator[Operation]:
    """Yield a document's operations in their order."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            command = _write_command(path, content.get(JSON_TYPE, {}).get("example"))
            answers = {status: _find_description(document, answer) for status, answer in operation["responses"].items()}
            yield Operation(method.upper(), path, operation["summary"], tuple(content), command, answers)


def _write_command(path: str, example: Json) -> str:
    """Return a shell command that asks; --json makes it a POST."""
    url = f'curl "$URL"{shlex.quote(path)}'
    return url if example is None else f"{url} --json {shlex.quote(orjson.dumps(example).decode())}"


def _find_description(document: Json, answer: Json) -> str:
    name = answer.get("$ref", "").rpartition("/")[2]
    found: str = (document["components"]["responses"][name] if name else answer)["description"]
    return found


def _describe_scoring(model: ServedModel, interface: ModelInterface) -> Json:
    body, answer = describe_score(model, interface)
    tensors = make_example_tensors(model, interface)
    score = _describe_post("score", "score", "Score a request of the task", body, answer)
    score["responses"] |= _refer_problems("Error", "400", "408", "413", "415", "500", "503")
    paths: Json = {"/score": {"post": score}}
    for prefix, name in _list_versions("/v2/models", interface):
        request = {JSON_TYPE: _add_example(describe_inference_request(interface), _write_inference(interface, tensors))}
        operation = _describe_post(
            f"infer{name}",
            "Open Inference Protocol",
            "Score named tensors",
            request,
            describe_inference_answer(interface),
        )
        operation["responses"] |= _refer_problems("Message", "400", "404", "408", "413", "415", "500", "503")
        paths[f"{prefix}/infer"] = {"post": operation}
    for prefix, name in _list_versions("/v1/models", interface):
        request = {JSON_TYPE: _add_example(describe_predict_request(interface), _write_rows(tensors))}
        operation = _describe_post(
            f"predict{name}", "TensorFlow Serving", "Score rows or columns", request, describe_predict_answer()
        )
        operation["responses"] |= _refer_problems("Message", "400", "404", "408", "413", "415", "500", "503")
        paths[f"{prefix}:predict"] = {"post": operation}
    return paths


def _describe_questions(interface: ModelInterface) -> Json:
    tag = "Open Inference Protocol"
    model, status = f"/v2/models/{interface.name}", f"/v1/models/{interface.name}"
    return {
        "/v2": _describe_get("server", tag, "Name, version and extensions of the server"),
        "/v2/health/live": _describe_get("live", tag, "Is the process at work?"),
        "/v2/health/ready": _describe_get("ready", tag, "Should requests be sent here?", "503"),
        model: _describe_get("model", tag, "The tensors that the model takes and gives", "404", "503"),
        f"{model}/ready": _describe_get("modelReady", tag, "Is the model ready?", "404", "503"),
        status: _describe_get("status", "TensorFlow Serving", "The state of the model", "404"),
        f"{status}/metadata": _describe_get("metadata", "TensorFlow Serving", "The model's signature", "404", "503"),
    }


def _describe_operation() -> Json:
    tag = "operation"
    readiness = _describe_get("readyz", tag, "Should requests be sent here?", answer_type=TEXT_TYPE)
    readiness["get"]["responses"] |= _refer_problems("Error", "503")
    return {
        "/": _describe_get("root", tag, "Healthy, while the process works", answer_type=TEXT_TYPE),
        "/healthz": _describe_get("healthz", tag, "Is the process at work?", answer_type=TEXT_TYPE),
        "/readyz": readiness,
        "/version": _describe_get("version", tag, "The runtime's version and the model's name, version and digest"),
        "/metrics": _describe_get("metrics", tag, "Metrics, in Prometheus' text format", answer_type=TEXT_TYPE),
    }


def _list_versions(prefix: str, interface: ModelInterface) -> Iterator[tuple[str, str]]:
    yield f"{prefix}/{interface.name}", ""
    yield f"{prefix}/{interface.name}/versions/{interface.version}", "Version"


def _describe_post(name: str, tag: str, summary: str, content: Json, answer: Json) -> Json:
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "The answer.", "content": {JSON_TYPE: {"schema": answer}}}},
    }


def _describe_get(name: str, tag: str, summary: str, *problems: str, answer_type: str = JSON_TYPE) -> Json:
    schema = {"type": "object" if answer_type == JSON_TYPE else "string"}
    responses = {"200": {"description": summary, "content": {answer_type: {"schema": schema}}}}
    responses |= _refer_problems("Message", *problems)
    return {"get": {"operationId": name, "tags": [tag], "summary": summary, "responses": responses}}


def _refer_problems(shape: str, *statuses: str) -> Json:
    return {status: {"$ref": f"#/components/responses/{shape}{status}"} for status in statuses}


def _describe_problems() -> Json:
    return {
        f"{shape}{status}": {
            "description": description,
            "content": {JSON_TYPE: {"schema": {"$ref": f"#/components/schemas/{shape}"}}},
            **({"headers": {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}} if status == "503" else {}),
        }
        for shape in ("Error", "Message")
        for status, description in _PROBLEMS.items()
        if (shape, status) != ("Error", "404")
    }


def _describe_shapes() -> Json:
    text = {"type": "string"}
    error = {"type": "object", "properties": {"code": text, "message": text}, "required": ["code", "message"]}
    return {
        "Error": {"type": "object", "properties": {"error": error}, "required": ["error"]},
        "Message": {"type": "object", "properties": {"error": text}, "required": ["error"]},
    }


def _add_example(schema: Json, example: Json) -> Json:
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def _write_inference(interface: ModelInterface, tensors: dict[str, Tensor] | None) -> Json:
    if tensors is None:
        return None
    inputs = [_write_input(name, interface.inputs[name].datatype, tensor) for name, tensor in tensors.items()]
    return {"inputs": inputs}


def _write_input(name: str, datatype: DataType, tensor: Tensor) -> Json:
    return {"name": name, "shape": list(tensor.shape), "datatype": datatype, "data": tensor.ravel().tolist()}


def _write_rows(tensors: dict[str, Tensor] | None) -> Json:
    if tensors is None:
        return None
    columns = {name: tensor.tolist() for name, tensor in tensors.items()}
    if len(columns) == 1:
        return {"instances": next(iter(columns.values()))}
    return {"instances": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}
