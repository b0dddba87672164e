"""The JSON bodies of errors over HTTP. Under /v1 and /v2 they have the shape that clients of those protocols read, elsewhere the runtime's own."""

import re

import orjson

_MESSAGE_PATHS = re.compile(r"/v[12](?:/|$)")


def write_error(path: str, code: str, message: str) -> bytes:
    """Return `{"error": "<message>"}` for a path under /v1 or /v2, else `{"error": {"code", "message"}}`."""
    return orjson.dumps({"error": message if _MESSAGE_PATHS.match(path) else {"code": code, "message": message}})
