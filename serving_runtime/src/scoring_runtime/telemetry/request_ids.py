"""Request ids: by which an answer, a line of our log and the caller's own log are brought together. Used by routes.py and gRPC."""

import re
from random import getrandbits

from scoring_runtime.redaction import redactor

HEADER = "X-Request-Id"
TRACE_HEADER = "traceparent"

_ID_BITS = 128
# What most callers send, such as a UUID: no credential looks like that, so looking for one would be in vain.
_PLAIN = re.compile(r"[0-9a-fA-F][0-9a-fA-F-]{0,63}")
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TRACE_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


def choose_request_id(given: str | None) -> str:
    """Return the caller's id, or a new one when it sent none that may stand in a log and in a header: short, plain and no credential."""
    if given and (_PLAIN.fullmatch(given) or (_WELL_FORMED.fullmatch(given) and redactor.redact(given) == given)):
        return given
    return f"{getrandbits(_ID_BITS):032x}"  # a name, which guards nothing


def find_trace_id(trace_parent: str | None) -> str | None:
    """Return the trace id of a W3C `traceparent` header; None when there is none or it is malformed."""
    found = _TRACE_PARENT.fullmatch(trace_parent) if trace_parent else None
    return found[1] if found else None
