"""The messages of calls over gRPC: each within a time limit, and so many on their way at once. What bodies.py is for HTTP.

grpcio reads the message of a method that takes one on one of its threads, without end, before anything of ours is called:
calls that never send it would hold all threads, by headers alone. A method that takes any number of messages is called as
soon as the headers are there, and asks for the first one itself. On the wire there is no difference.
"""

import threading
from collections.abc import Callable, Iterator
from time import monotonic

import grpc

from scoring_runtime.bodies import WATCH_SECONDS, limit_seconds
from scoring_runtime.errors import BodyTimeoutError, InvalidInputError, OverloadedError


class UnreadMessages(grpc.ServerInterceptor):  # type: ignore[misc]  # grpcio has no types
    """Calls every method with an iterator in place of its one message. The outermost interceptor: others need not know."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Return the handler of a method, called before its message has come."""
        handler = continuation(handler_call_details)
        return None if handler is None else grpc.stream_unary_rpc_method_handler(handler.unary_unary)


class _Waiting:
    __slots__ = ("context", "is_cut", "started")

    def __init__(self, context: grpc.ServicerContext, started: float) -> None:
        self.context = context
        self.started = started
        self.is_cut = False


class MessageReader:
    """Reads the message of each call within `seconds`; beyond `places` on their way at once, calls are refused."""

    def __init__(self, seconds: float, places: int, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._places = places
        self._clock = clock
        self._waiting: set[_Waiting] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def read(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Return a call's message, packed. Raises OverloadedError, BodyTimeoutError, or InvalidInputError when none comes."""
        waiting = self._enter(context)
        try:
            message = next(messages, None)
        except grpc.RpcError:
            message = None
        finally:
            with self._lock:
                self._waiting.remove(waiting)
        if waiting.is_cut:
            raise BodyTimeoutError("The message did not come in time: send it faster, or less of it.")
        if message is None:
            raise InvalidInputError("No message came, or one that is too large: send one.")
        return message

    def count_waiting(self) -> int:
        """Return how many messages are on their way now."""
        return len(self._waiting)

    def watch(self) -> None:
        """Cut what takes too long from now on, on a thread of its own."""
        threading.Thread(target=self._watch, name="grpc-messages", daemon=True).start()

    def end(self) -> None:
        """Watch no more."""
        self._ended.set()

    def cut_late(self) -> None:
        """End the calls whose messages have had their time: while more than half of the places are taken, that is shorter."""
        with self._lock:
            latest = self._clock() - limit_seconds(self._seconds, len(self._waiting), self._places)
            late = [waiting for waiting in self._waiting if waiting.started < latest and not waiting.is_cut]
            for waiting in late:
                waiting.is_cut = True
        for waiting in late:
            # grpcio has no other way to wake the thread: the client is told CANCELLED.
            waiting.context.cancel()

    def _enter(self, context: grpc.ServicerContext) -> _Waiting:
        waiting = _Waiting(context, self._clock())
        with self._lock:
            if len(self._waiting) >= self._places:
                raise OverloadedError(f"{self._places} messages are on their way already: try again later.")
            self._waiting.add(waiting)
        return waiting

    def _watch(self) -> None:
        while not self._ended.wait(WATCH_SECONDS):
            self.cut_late()
