"""What can go wrong in the sample app, in words for whoever sits before it. Lowest layer.

ClientError                 what the browser is told: HTTP status, code, a sentence with the remedy
├── ModelError              of the model behind the app
└── SignInError             of signing in
SettingsError               the app cannot start: a setting or a Secret is wrong
"""


class ClientError(Exception):
    """An answer other than 200: what is wrong and what to do, with the seconds to wait where waiting helps."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class ModelError(ClientError):
    """The model behind the app did not answer, or not well."""


class SignInError(ClientError):
    """Somebody could not be signed in."""


class SettingsError(Exception):
    """The app cannot start; the text names the setting or the Secret's entry, and the remedy."""
