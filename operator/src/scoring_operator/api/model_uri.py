"""The URI of spec.model: the schemes, and the rules that the CRD and the operator hold it to."""

from pathlib import PurePosixPath
from urllib.parse import urlsplit

from scoring_operator.api.base import TextRule

CLAIM_SCHEME = "pvc"
FILE_FORMATS = {".onnx": "onnx", ".ort": "onnx", ".keras": "keras"}
"""Formats that the ending of a single model file tells, other than that of images without one."""

REMOTE_SCHEMES = ("https", "s3", "gs", "abfs", "abfss", "hf", "oci")
"""Schemes whose artifacts are fetched, by a container of their own."""

STORE_PATTERN = "^(s3|gs|abfss?)://"
REMOTE_PATTERN = "^(https|s3|gs|abfss?|hf|oci)://"
ENDPOINT_PATTERN = "^(s3|gs|abfss?|hf)://"

URI_FORMS = (
    "uri must be file:///path (inside the image), pvc://claim/path, https://host/path, s3://bucket/path, gs://bucket/path, "
    "abfs://container@account.dfs.core.windows.net/path, hf://organisation/name[@revision][/path] or "
    "oci://registry/repository:tag (or @sha256:digest)"
)
HOST_INVALID = "uri must name a host, and after a : a port number, as in https://models.example.com:8443/faq.tar"
_HOST = "([^]/:?#@[]+|[^]A-Za-z0-9:/?#@][0-9A-Fa-f:.]+])(:[0-9]{1,5})?/"
_FORMS = (
    "file:///[^?#]+",
    "pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[^?#]+",
    "https://[^/]+/.+",
    "(s3|gs)://[a-z0-9][-a-z0-9._]*/[^?#]+",
    "abfss?://[a-z0-9][-a-z0-9]*@[a-z0-9]+([.][-a-z0-9]+)+/[^?#]+",
    "hf://[A-Za-z0-9][-A-Za-z0-9._]*/[A-Za-z0-9][-A-Za-z0-9._]*(@[^/?#@]+)?(/[^?#]*)?",
    "oci://[^/?#@]+/[a-z0-9][-a-z0-9._/]*(:[A-Za-z0-9_][-A-Za-z0-9_.]*|@sha256:[0-9a-f]{64})",
)
URI_RULES = (
    TextRule(f"^({'|'.join(_FORMS)})$", URI_FORMS),
    TextRule("^(https|oci)://[^/]*@", "uri must not hold a user or a password", is_forbidden=True),
    TextRule("(^|/)[.][.](/|$)", "uri must not hold .. as a path segment", is_forbidden=True),
    TextRule(f"^(file:|pvc:|s3:|gs:|abfss?:|hf:|(https|oci)://{_HOST})", HOST_INVALID),
)
ENDPOINT_INVALID = "endpoint must be an address such as https://minio.example.com:9000"
ENDPOINT_RULE = TextRule(f"^https?://{_HOST[:-1]}(/[^?#]*)?$", ENDPOINT_INVALID)


def has_valid_address(uri: str) -> bool:
    """Tell whether host and port can be read from a URI; one without any, such as file:///m, has nothing wrong."""
    try:
        return urlsplit(uri).port != 0
    except ValueError:
        return False


def find_scheme(uri: str) -> str:
    """Return what stands before ://."""
    return uri.partition("://")[0]


def find_file_format(uri: str) -> str | None:
    """Return the format of a URI that names a single model file, as far as its ending tells."""
    return FILE_FORMATS.get(PurePosixPath(urlsplit(uri).path).suffix.lower())


def find_claim(uri: str) -> str | None:
    """Return the PersistentVolumeClaim that a pvc:// URI names, or None."""
    scheme, _, rest = uri.partition("://")
    return rest.partition("/")[0] if scheme == CLAIM_SCHEME else None
