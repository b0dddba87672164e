"""The HTTP client of the sources that speak HTTP: https, hf and oci. Streams, follows redirects, hands out our own errors.

On urllib3. Ours is where credentials go: to the origin they are for, and to no other that a redirect names.
"""

import base64
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import urllib3

from scoring_runtime.artifacts.credentials import Credentials
from scoring_runtime.artifacts.sources.sockets import Sockets
from scoring_runtime.errors import (
    AccessDeniedError,
    ArtifactNotFoundError,
    FetchAbandonedError,
    FetchFailedError,
    InvalidSettingsError,
)
from scoring_runtime.redaction import cut_uris

CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 60
CHUNK_BYTES = 2**20
MAX_REDIRECTS = 5
MAX_DOCUMENT_BYTES = 32 * 2**20
_WORTH_ANOTHER_TRY = (408, 425, 429)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class HttpClient:
    """Gets what lies at addresses; safe to use from several threads. `shown` is the URI that messages name."""

    def __init__(self, shown: str, credentials: Credentials, connections: int = 8) -> None:
        self._shown = shown
        self._context = _build_context(credentials.ca)
        self._connections = connections
        self._pools: dict[str | None, urllib3.PoolManager] = {}
        self._sockets = Sockets()

    def get(
        self, url: str, headers: Mapping[str, str], *, expected: tuple[int, ...] = (200,)
    ) -> urllib3.BaseHTTPResponse:
        """Return the response, its body unread, of the final address; release it after use.

        Raises ArtifactNotFoundError, AccessDeniedError or FetchFailedError for another status than those expected.
        """
        sent = {"Accept-Encoding": "identity", **headers}
        for _ in range(MAX_REDIRECTS + 1):
            response = self._send(url, sent)
            location = response.headers.get("Location")
            if response.status not in (301, 302, 303, 307, 308) or location is None:
                return self._check(response, expected)
            # Not drained: nobody knows how long it is.
            response.close()
            following = self._follow(url, location)
            if find_origin(following) != find_origin(url):
                sent = {name: value for name, value in sent.items() if name.lower() != "authorization"}
            url = following
        raise ArtifactNotFoundError(f"{self._shown} redirects more than {MAX_REDIRECTS} times. Give the final URI.")

    def get_document(self, url: str, headers: Mapping[str, str]) -> tuple[bytes, Mapping[str, str]]:
        """Return the whole body of a small document, and its headers."""
        response = self.get(url, headers)
        body = b"".join(self.stream(response, MAX_DOCUMENT_BYTES))
        return body, response.headers

    def abandon(self) -> None:
        """End all answers that are being received, and send no further requests. Without it, a server may trickle for ever."""
        self._sockets.abandon()

    def stream(self, response: urllib3.BaseHTTPResponse, limit: int | None = None) -> Iterator[bytes]:
        """Yield the body as it was sent. Raises FetchFailedError when it breaks off, or goes on after `limit` bytes."""
        received = 0
        try:
            for chunk in response.stream(CHUNK_BYTES, decode_content=False):
                received += len(chunk)
                if limit is not None and received > limit:
                    raise FetchFailedError(f"{self._shown}: the server's answer is longer than it can be.")
                yield chunk
            # An answer without a length ends like one that was abandoned.
            self._check_abandoned()
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._explain(error) from error
        finally:
            # A connection whose answer was not read to its end is of no further use.
            response.close()

    def _check_abandoned(self) -> None:
        if self._sockets.is_abandoned:
            raise FetchAbandonedError("Fetching was given up.")

    def _send(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        self._check_abandoned()
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=READ_TIMEOUT_SECONDS)
        try:
            return self._find_pool(url).request(
                "GET",
                url,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except urllib3.exceptions.LocationValueError as error:
            raise InvalidSettingsError(f"{self._shown} is no address. Correct it.") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._explain(error) from error
        except ValueError:
            # Its text quotes the header, which may be a token.
            raise FetchAbandonedError(
                f"{self._shown} could not be fetched: the request's address or a header of it cannot be sent. Check the "
                "credentials and the proxy."
            ) from None

    def _find_pool(self, url: str) -> urllib3.PoolManager:
        proxy = find_proxy(url)
        if proxy not in self._pools:
            options: Any = {"maxsize": self._connections, "ssl_context": self._context}
            if proxy is None:
                self._pools[proxy] = self._sockets.follow(urllib3.PoolManager(**options))
            else:
                parts = urlsplit(proxy)
                secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
                headers = urllib3.make_headers(proxy_basic_auth=secret)
                self._pools[proxy] = self._sockets.follow(urllib3.ProxyManager(proxy, proxy_headers=headers, **options))
        return self._pools[proxy]

    def _check(self, response: urllib3.BaseHTTPResponse, expected: tuple[int, ...]) -> urllib3.BaseHTTPResponse:
        status = response.status
        if status in expected:
            return response
        response.close()
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _WORTH_ANOTHER_TRY:
            raise FetchFailedError(
                f"{self._shown} could not be fetched: the server answered {status}. It is tried again."
            )
        if status in (401, 403):
            raise AccessDeniedError(
                f"{self._shown} is refused: the server answered {status}. Check spec.model.credentials and what they may read."
            )
        if status == HTTPStatus.NOT_FOUND:
            raise ArtifactNotFoundError(f"Nothing at {self._shown}: the server answered 404. Correct spec.model.uri.")
        raise ArtifactNotFoundError(f"{self._shown} is refused: the server answered {status}. Check spec.model.uri.")

    def _follow(self, url: str, location: str) -> str:
        following = join_address(url, location)
        if following is None:
            raise FetchAbandonedError(
                f"{self._shown} could not be fetched: it redirects to what is no address. Give the final URI."
            )
        if urlsplit(url).scheme == "https" and urlsplit(following).scheme != "https":
            raise ArtifactNotFoundError(
                f"{self._shown} redirects to a URI that is not https. Give the final https URI."
            )
        return following

    def _explain(self, error: Exception) -> FetchFailedError:
        # What is not trusted now is not trusted in four seconds either; the container's next start may have another ca.crt.
        is_untrusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _find_causes(error))
        kind = FetchAbandonedError if is_untrusted else FetchFailedError
        return kind(f"{self._shown} could not be fetched: {describe(error)}. Check the network and the host.")


def join_address(base: str, address: str) -> str | None:
    """Return the absolute address that a server named in an answer from `base`, or None for what is none."""
    try:
        url = urljoin(base, address)
        return url if find_origin(url)[1] else None
    except ValueError:
        return None


def find_origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port. Raises ValueError for what is no address."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def find_proxy(url: str) -> str | None:
    """Return the proxy that the environment names for an address (HTTPS_PROXY, NO_PROXY, …), or None."""
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxy = urllib.request.getproxies().get(parts.scheme)
    # As curl and others take it: without a scheme it is spoken to by HTTP.
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def make_basic_header(user: str, password: str) -> str:
    """Return the value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def check_endpoint(endpoint: str) -> str:
    """Return an endpoint without a / at its end, if it is safe to send a token to. Raises InvalidSettingsError."""
    if not endpoint.startswith("https://") and urlsplit(endpoint).hostname not in _LOOPBACK:
        raise InvalidSettingsError(f"The endpoint {cut_uris(endpoint)} is not https. Give one that is.")
    return endpoint.rstrip("/")


def describe(error: BaseException) -> str:
    """Return what went wrong in words that hold no more than host, port and cause."""
    certificate = next((cause for cause in _find_causes(error) if isinstance(cause, ssl.SSLError)), None)
    if certificate is not None:
        return str(certificate).partition(" (_ssl")[0]
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "its host has no address"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return str(error).rpartition(": ")[2]
    # Last, since those above are kinds of it.
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "the server did not answer in time"
    return {"IncompleteRead": "the answer broke off"}.get(type(error).__name__, type(error).__name__)


def _find_causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    for cause in (*error.args, error.__cause__):
        if isinstance(cause, BaseException):
            yield from _find_causes(cause)


def _build_context(ca: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(cadata=ca)
        except (ssl.SSLError, ValueError) as error:
            raise InvalidSettingsError("ca.crt in the Secret holds no certificate in PEM. Correct it.") from error
    return context
