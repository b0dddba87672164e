"""All errors of the runtime. No framework is imported here; app.py turns request errors into HTTP statuses.

ScoringRuntimeError            code and message; the message says what is wrong and what to do
├── LoadError                  the runtime cannot serve: logged, written to the termination message, exit status 1
│   ├── InvalidSettingsError · ArtifactNotFoundError · ArtifactCorruptError · DigestMismatchError · DigestRequiredError
│   ├── AccessDeniedError · CredentialsMissingError · ArtifactTooLargeError · DriverNotInstalledError
│   ├── SignatureMissingError · SignatureInvalidError
│   ├── UnknownFormatError · ManifestInvalidError · ModelInvalidError · FormatNotInstalledError
│   ├── UnexpectedAnswerError
│   └── FetchFailedError (FetchAbandonedError) · OutOfMemoryError · ScorerFailedError · DeviceLostError (another try
│       may work; time alone mends none above)
└── RequestError               one request cannot be answered; the runtime goes on
    ├── InvalidJsonError · MissingInputError · EmptyInputError · InvalidInputError · TooManyItemsError
    ├── InvalidBase64Error · InvalidImageError · TruncatedImageError · TooManyImagesError · ImageTooLargeError
    ├── InputTooLongError · BodyTooLargeError · BodyTimeoutError · UnsupportedMediaTypeError · UnsupportedEncodingError
    ├── ModelNotFoundError
    └── ScoringFailedError · NotReadyError · OverloadedError
Those of keys, tokens and limits are in access/errors.py.
"""

from typing import ClassVar

# In UTF-8. A client over gRPC refuses more than 8 KiB of metadata, which a message is: up to three bytes for each of these.
_MAX_MESSAGE_BYTES = 2_000
_END_BYTES = 500
_CUT = "…"


class ScoringRuntimeError(Exception):
    """Base of all errors of this package: `code` is stable and for programs, `message` is for people."""

    code: ClassVar[str] = "ScoringRuntimeError"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class LoadError(ScoringRuntimeError):
    """The model cannot be served; ends the process."""


class InvalidSettingsError(LoadError):
    """An environment variable is missing or has a value that cannot be used."""

    code = "InvalidSettings"


class ArtifactNotFoundError(LoadError):
    """Nothing to fetch at the model's URI."""

    code = "ArtifactNotFound"


class ArtifactCorruptError(LoadError):
    """The artifact cannot be unpacked, or holds entries that are refused."""

    code = "ArtifactCorrupt"


class DigestMismatchError(LoadError):
    """The artifact is not the one whose digest was given."""

    code = "DigestMismatch"


class DigestRequiredError(LoadError):
    """The model file can run code when loaded and no digest was given."""

    code = "DigestRequired"


class AccessDeniedError(LoadError):
    """The server knows the artifact's place and refuses it to us."""

    code = "AccessDenied"


class CredentialsMissingError(LoadError):
    """The Secret with the credentials is missing, or lacks a key."""

    code = "CredentialsMissing"


class ArtifactTooLargeError(LoadError):
    """The artifact has more bytes or files than may be fetched or unpacked."""

    code = "ArtifactTooLarge"


class DriverNotInstalledError(LoadError):
    """The URI's scheme is known, but what fetches it is not installed here."""

    code = "DriverNotInstalled"


class SignatureMissingError(LoadError):
    """A public key was given, and there is no signature."""

    code = "SignatureMissing"


class SignatureInvalidError(LoadError):
    """The signature is not one of the artifact's by the public key."""

    code = "SignatureInvalid"


class UnknownFormatError(LoadError):
    """No scorer plug-in of this name."""

    code = "UnknownFormat"


class ManifestInvalidError(LoadError):
    """manifest.json is missing, unreadable or wrong."""

    code = "ManifestInvalid"


class ModelInvalidError(LoadError):
    """The model file cannot be loaded by its scorer."""

    code = "ModelInvalid"


class FormatNotInstalledError(LoadError):
    """The scorer plug-in is known, but what it imports is not in this image."""

    code = "FormatNotInstalled"


class FetchFailedError(LoadError):
    """The artifact could not be fetched this time: network, server error, full disk."""

    code = "FetchFailed"


class FetchAbandonedError(FetchFailedError):
    """Another try now is of no use: the artifact was replaced meanwhile, or the time is up."""


class OutOfMemoryError(LoadError):
    """The model does not fit into memory."""

    code = "OutOfMemory"


class ScorerFailedError(LoadError):
    """The model was loaded, but could not score its example."""

    code = "ScorerFailed"


class UnexpectedAnswerError(LoadError):
    """The model's answer to the manifest's example is not the one that the manifest expects."""

    code = "UnexpectedAnswer"


class DeviceLostError(LoadError):
    """The accelerator answers nothing any more until the process has ended."""

    code = "DeviceLost"


class RequestError(ScoringRuntimeError):
    """One request cannot be answered. Of a message that quotes much of the request, the middle is cut out."""

    def __init__(self, message: str) -> None:
        super().__init__(_shorten(message))


class InvalidJsonError(RequestError):
    """The body is not JSON."""

    code = "InvalidJson"


class MissingInputError(RequestError):
    """The body lacks the input, or it has another type than the task wants."""

    code = "MissingInput"


class EmptyInputError(RequestError):
    """The input is there and empty."""

    code = "EmptyInput"


class InvalidInputError(RequestError):
    """The input has another shape, type or name than the model's signature."""

    code = "InvalidInput"


class TooManyItemsError(RequestError):
    """More items in one request than are scored at once."""

    code = "TooManyItems"


class InvalidBase64Error(RequestError):
    """An image is not a base64 string."""

    code = "InvalidBase64"


class InvalidImageError(RequestError):
    """The bytes are not an image that can be read."""

    code = "InvalidImage"


class TruncatedImageError(RequestError):
    """The image ends too early."""

    code = "TruncatedImage"


class TooManyImagesError(RequestError):
    """More images in one request than are scored as one batch."""

    code = "TooManyImages"


class ImageTooLargeError(RequestError):
    """The image has more pixels than SCORING_MAX_IMAGE_PIXELS."""

    code = "ImageTooLarge"


class InputTooLongError(RequestError):
    """The question has more characters than are read."""

    code = "InputTooLong"


class BodyTooLargeError(RequestError):
    """The body has more bytes than SCORING_MAX_BODY_BYTES."""

    code = "BodyTooLarge"


class BodyTimeoutError(RequestError):
    """The body did not come within SCORING_BODY_TIMEOUT_SECONDS, or came too slowly while many wait."""

    code = "BodyTimeout"


class UnsupportedMediaTypeError(RequestError):
    """The task does not read this content type."""

    code = "UnsupportedMediaType"


class UnsupportedEncodingError(RequestError):
    """The body is compressed."""

    code = "UnsupportedMediaType"


class ModelNotFoundError(RequestError):
    """The path names another model or version than the one that is served here."""

    code = "ModelNotFound"


class ScoringFailedError(RequestError):
    """The model failed on this request."""

    code = "ScoringFailed"


class NotReadyError(RequestError):
    """The model is not loaded yet, or the runtime is about to stop."""

    code = "NotReady"


class OverloadedError(RequestError):
    """As many requests wait for the model as may wait, or memory is short; `retry_after_seconds` from now it may work."""

    code = "Overloaded"

    def __init__(self, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def _shorten(message: str) -> str:
    """Return the message, at most so many bytes of it: its beginning, and its end, which says what to do."""
    content = message.encode(errors="replace")
    if len(content) <= _MAX_MESSAGE_BYTES:
        return message
    begin, end = content[: _MAX_MESSAGE_BYTES - _END_BYTES - len(_CUT.encode())], content[-_END_BYTES:]
    return begin.decode(errors="ignore") + _CUT + end.decode(errors="ignore")
