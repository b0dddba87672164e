"""The errors of keys, tokens and limits; the package's other errors and their tree are in errors.py.

LoadError: ApiKeysMissingError · IssuerUnavailableError (another try may work)
RequestError: UnauthorizedError (401) · ForbiddenError (403) · TooManyRequestsError (429)
"""

from scoring_runtime.errors import LoadError, RequestError


class ApiKeysMissingError(LoadError):
    """Keys are asked for and there are none, so that nobody could ask."""

    code = "ApiKeysMissing"


class IssuerUnavailableError(LoadError):
    """The keys of the tokens' issuer cannot be fetched."""

    code = "IssuerUnavailable"


class UnauthorizedError(RequestError):
    """No key or token, or one that is not valid; `problem` is the word of RFC 6750 for that, if something was shown."""

    code = "Unauthorized"

    def __init__(self, message: str, problem: str | None = None) -> None:
        super().__init__(message)
        self.problem = problem


class ForbiddenError(RequestError):
    """A key or token that is valid, but not for this."""

    code = "Forbidden"
    problem = "insufficient_scope"


class TooManyRequestsError(RequestError):
    """One client or key asks too much; `retry_after_seconds` from now it may again.

    `policy` is the limit's name, its number of requests and the seconds that these are for; None where it is no rate.
    """

    code = "TooManyRequests"

    def __init__(self, message: str, retry_after_seconds: float, policy: tuple[str, int, float] | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.policy = policy
