"""Steady requests to a runtime, for tests of what is seen of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

from runtime_processes import Runtime

GOOD = {"input": [[1, 2, 3, 4]]}
"""What the model `Table` answers."""


@contextmanager
def keep_asking(runtime: Runtime, body: object, clients: int = 1) -> Iterator[None]:
    """Let clients ask, one request each at a time, until the end of the block."""
    stop = Event()

    def ask() -> None:
        while not stop.is_set():
            runtime.client.post("/score", json=body)
            stop.wait(0.01)

    with ThreadPoolExecutor(clients) as pool:
        futures = [pool.submit(ask) for _ in range(clients)]
        try:
            yield
        finally:
            stop.set()
            for future in futures:
                future.result()
