"""Download of one file over https into a folder, by streaming, with a few tries. Used by artifacts.py.

fsspec does the transfer; what is ours is which answer is worth another try, and messages without credentials.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from time import sleep

import aiohttp
import fsspec  # type: ignore[import-untyped]
import structlog

from scoring_runtime.errors import ArtifactNotFoundError, FetchFailedError, LoadError
from scoring_runtime.uris import ModelUri

CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 60
# Waits between the tries; one more try than waits.
BACKOFF_SECONDS = (0.5, 1.0, 2.0)
CHUNK_BYTES = 2**20
_HTTP_SERVER_ERROR = 500
_WORTH_ANOTHER_TRY = (408, 425, 429)

_logger = structlog.stdlib.get_logger(__name__)


class _InsecureRedirectError(Exception):
    """The server sent us from https to another scheme."""


def download_file(uri: ModelUri, target: Path, wait: Callable[[float], object] = sleep) -> None:
    """Download `uri` to the file `target`, replacing it.

    Raises ArtifactNotFoundError (404 and other refusals) or FetchFailedError (network, 5xx, after all tries). Errors of
    the disk stay OSError.
    """
    for seconds in BACKOFF_SECONDS:
        try:
            return _download_once(uri, target)
        except FetchFailedError as error:
            _logger.warning("download failed, trying again", uri=str(uri), reason=error.message, wait_seconds=seconds)
            wait(seconds)
    return _download_once(uri, target)


def _download_once(uri: ModelUri, target: Path) -> None:
    try:
        _open_filesystem().get_file(uri.text, str(target), chunk_size=CHUNK_BYTES)
    except FileNotFoundError as error:
        raise ArtifactNotFoundError(f"Nothing at {uri}: the server answered 404. Correct spec.model.uri.") from error
    except _InsecureRedirectError as error:
        raise ArtifactNotFoundError(f"{uri} redirects to a URI that is not https. Give the final https URI.") from error
    except aiohttp.ClientResponseError as error:
        raise _explain_status(uri, error.status) from None
    except (aiohttp.ClientError, TimeoutError, ssl.SSLError, ConnectionError) as error:
        raise FetchFailedError(
            f"{uri} could not be fetched: {_describe(error)}. Check the network and the host."
        ) from error


def _open_filesystem() -> fsspec.AbstractFileSystem:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=READ_TIMEOUT_SECONDS)
    redirects = aiohttp.TraceConfig()
    redirects.on_request_redirect.append(_refuse_insecure_redirect)
    # Bytes as they lie at the source, whose digest was given: neither the server nor aiohttp may code them differently.
    client = {"timeout": timeout, "trust_env": True, "trace_configs": [redirects], "auto_decompress": False}
    headers = {"Accept-Encoding": "identity"}
    # A context of our own: aiohttp's is made when it is imported and misses a later SSL_CERT_FILE.
    context = ssl.create_default_context()
    # `encoded`: a signed URI must reach the server as it was given.
    options = {"encoded": True, "ssl": context, "headers": headers, "client_kwargs": client}
    return fsspec.filesystem("https", skip_instance_cache=True, **options)


async def _refuse_insecure_redirect(
    _session: object, _context: object, params: aiohttp.TraceRequestRedirectParams
) -> None:
    location = params.response.headers.get("Location", "")
    if "://" in location and not location.lower().startswith("https://"):
        raise _InsecureRedirectError


def _explain_status(uri: ModelUri, status: int) -> LoadError:
    if status >= _HTTP_SERVER_ERROR or status in _WORTH_ANOTHER_TRY:
        return FetchFailedError(f"{uri} could not be fetched: the server answered {status}. It is tried again.")
    return ArtifactNotFoundError(f"{uri} is refused: the server answered {status}. Check the URI and its permissions.")


def _describe(error: BaseException) -> str:
    # Only these texts are known to hold no more than host, port and cause.
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError):
        return str(error)
    return type(error).__name__
