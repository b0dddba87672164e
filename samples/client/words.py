"""What a visitor reads when the model does not answer, by the HTTP status that it answered with. Above `errors`."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from samples.client.errors import ModelError

NOT_YOURS = "That is nothing you did: please tell whoever runs this app."
NOT_READY_WAIT_SECONDS = 10


@dataclass(frozen=True)
class Words:
    """How the app passes a status on: with which status, code and sentence."""

    status: int
    code: str
    message: str


BY_STATUS: Mapping[int, Words] = {
    HTTPStatus.UNAUTHORIZED: Words(
        HTTPStatus.BAD_GATEWAY,
        "KeyRefused",
        f"The model does not know this app's key: it is missing, wrong, revoked or has expired. {NOT_YOURS}",
    ),
    HTTPStatus.FORBIDDEN: Words(
        HTTPStatus.BAD_GATEWAY, "KeyNotForThisModel", f"This app's key is not for this model. {NOT_YOURS}"
    ),
    HTTPStatus.NOT_FOUND: Words(
        HTTPStatus.BAD_GATEWAY, "NoModelThere", f"Where this app looks for its model there is none. {NOT_YOURS}"
    ),
    HTTPStatus.REQUEST_TIMEOUT: Words(
        HTTPStatus.GATEWAY_TIMEOUT, "TooSlow", "What you sent took too long to arrive at the model. Please try again."
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Words(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "TooLarge",
        "That is more than the model takes. Ask a shorter question, or take a smaller picture.",
    ),
    HTTPStatus.TOO_MANY_REQUESTS: Words(
        HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests", "The model has been asked very often just now."
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: Words(
        HTTPStatus.SERVICE_UNAVAILABLE, "Busy", "The model has more to do than it can do at once."
    ),
}
FAILED = Words(HTTPStatus.BAD_GATEWAY, "ModelFailed", f"The model failed at this. {NOT_YOURS}")
NOT_READY = Words(
    HTTPStatus.SERVICE_UNAVAILABLE, "ModelNotReady", "The model is not ready: it is being started, or has been stopped."
)
TOO_SLOW = Words(HTTPStatus.GATEWAY_TIMEOUT, "TooSlow", "The model took too long to answer. Please try again.")
CUT_OFF = Words(HTTPStatus.BAD_GATEWAY, "ConnectionLost", "The connection to the model was cut off. Please try again.")
NOT_UNDERSTOOD = Words(
    HTTPStatus.BAD_GATEWAY, "NotUnderstood", f"The model answered something that this app does not show. {NOT_YOURS}"
)
# Of what the visitor sent: the runtime's own sentence says what is wrong with it.
VISITORS_OWN = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}


def explain(words: Words, retry_after: int | None = None) -> ModelError:
    """Return the error that tells these words."""
    return ModelError(words.status, words.code, words.message, retry_after=retry_after)


def explain_status(status: int, code: str, message: str, retry_after: int | None) -> ModelError:
    """Return what a visitor is told of a status other than 200, with the runtime's error code and message."""
    if status in VISITORS_OWN and message:
        return ModelError(HTTPStatus.BAD_REQUEST, code, message)
    if code == "NotReady":
        return explain(NOT_READY, retry_after or NOT_READY_WAIT_SECONDS)
    return explain(BY_STATUS.get(status, FAILED), retry_after)
