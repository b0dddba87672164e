"""The prefix under which a route leads to the runtime, such as /faq of https://host/faq/score. In front of everything that looks at paths.

Stripped here and not on the way, since for an Ingress each controller has its own means, or none.
"""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class PathPrefix:
    """A WSGI application: requests below the prefix go on to `rest` without it; all others, such as probes, as they are."""

    def __init__(self, rest: WSGIApplication, prefix: str) -> None:
        """Take a prefix that starts with / and does not end with it."""
        self._rest = rest
        self._prefix = prefix
        self._below = f"{prefix}/"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass one request on."""
        path = environ["PATH_INFO"]
        if path == self._prefix or path.startswith(self._below):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self._prefix
            environ["PATH_INFO"] = path[len(self._prefix) :] or "/"
        return self._rest(environ, start_response)
