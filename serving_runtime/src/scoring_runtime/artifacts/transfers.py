"""Transfers: a source's files into a folder, in parts side by side, each resumed where it broke off. Used by retrieval.py.

Bounded in bytes, files, time and tries. What is fetched is verified by retrieval.py afterwards; here only that it is all
there, that nothing lands outside the folder, and that it fits.
"""

import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import TypeVar

import structlog

from scoring_runtime.artifacts.sources import RemoteFile, Source
from scoring_runtime.errors import (
    ArtifactCorruptError,
    ArtifactTooLargeError,
    FetchAbandonedError,
    FetchFailedError,
)

MAX_FILES = 100_000
# Small enough that eight connections share a file of a few hundred MB, large enough that requests cost nothing.
PART_BYTES = 32 * 2**20
# Waits between the tries; one more try than waits.
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 4.0)
# A try that brought so much has not failed for nothing, and the count of tries begins anew.
PROGRESS_BYTES = 2**20

T = TypeVar("T")
_logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Bounds:
    """What a transfer may take."""

    max_bytes: int
    timeout_seconds: float
    connections: int = 8


@dataclass
class _Part:
    """A stretch of a file; `offset` is where it goes on, `end` (None: not known) where it ends."""

    file: RemoteFile
    path: Path
    offset: int
    end: int | None
    start: int = field(init=False)

    def __post_init__(self) -> None:
        self.start = self.offset


def fetch_files(
    source: Source, folder: Path, bounds: Bounds, wait: Callable[[float], object] | None = None
) -> Sequence[RemoteFile]:
    """Fetch all files of a source into the empty folder `folder`; return them. `wait` is called between tries.

    Raises ArtifactNotFoundError, AccessDeniedError, ArtifactTooLargeError, ArtifactCorruptError (a path that leads
    outside), FetchFailedError (after all tries). Errors of the disk stay OSError.
    """
    return _Transfer(source, folder, bounds, wait).run()


class _Transfer:
    def __init__(
        self, source: Source, folder: Path, bounds: Bounds, wait: Callable[[float], object] | None = None
    ) -> None:
        self._source, self._folder, self._bounds = source, folder, bounds
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._deadline = monotonic() + bounds.timeout_seconds
        self._lock = threading.Lock()
        self._received = 0

    def run(self) -> Sequence[RemoteFile]:
        """Fetch everything, or give up when the time is over, whatever a server is doing then."""
        timer = threading.Timer(self._bounds.timeout_seconds, self._source.abandon)
        timer.daemon = True
        timer.start()
        try:
            return self._fetch()
        except FetchFailedError:
            self._check_time()
            raise
        finally:
            timer.cancel()

    def _fetch(self) -> Sequence[RemoteFile]:
        files = self._insist(self._source.list_files, lambda: False)
        _check_names(files)
        self._check_size(files)
        parts = [part for file in files for part in self._plan(file)]
        with ThreadPoolExecutor(self._bounds.connections, thread_name_prefix="fetch") as pool:
            tasks = [pool.submit(self._fetch_part, part) for part in parts]
            try:
                for task in as_completed(tasks):
                    task.result()
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return files

    def _check_size(self, files: Sequence[RemoteFile]) -> None:
        total = sum(file.size_bytes or 0 for file in files)
        self._check_bytes(total)
        free = shutil.disk_usage(self._folder).free
        if total > free:
            raise FetchFailedError(
                f"The artifact has {total} bytes and {self._folder} room for {free}: use a node with a larger disk."
            )

    def _check_bytes(self, total: int) -> None:
        if total > self._bounds.max_bytes:
            raise ArtifactTooLargeError(
                f"The artifact has more than {self._bounds.max_bytes} bytes: raise spec.model.sizeLimit if that is meant."
            )

    def _plan(self, file: RemoteFile) -> list[_Part]:
        path = self._folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=False)
        size = file.size_bytes
        if size is None or not file.is_seekable:
            return [_Part(file, path, 0, size)]
        return [_Part(file, path, start, min(start + PART_BYTES, size)) for start in range(0, size, PART_BYTES)]

    def _fetch_part(self, part: _Part) -> None:
        def resume() -> bool:
            """Tell whether the last try brought something that the next can go on from."""
            if not part.file.is_seekable:
                self._count(part.start - part.offset)
                part.offset = part.start
                return False
            advanced = part.offset - part.start >= PROGRESS_BYTES
            if advanced:
                part.start = part.offset
            return advanced

        self._insist(lambda: self._copy(part), resume)

    def _insist(self, action: Callable[[], T], resume: Callable[[], bool]) -> T:
        """Return what the action does, tried again with growing pauses as long as it fails in a way that may pass."""
        failures = 0
        while True:
            try:
                return action()
            except FetchAbandonedError:
                raise
            except FetchFailedError as error:
                failures = 1 if resume() else failures + 1
                if failures > len(BACKOFF_SECONDS) or self._stop.is_set():
                    raise
                self._check_deadline()
                seconds = BACKOFF_SECONDS[failures - 1]
                _logger.warning("fetching failed, trying again", reason=error.message, wait_seconds=seconds)
                self._wait(seconds)

    def _copy(self, part: _Part) -> None:
        with part.path.open("r+b") as target:
            target.seek(part.offset)
            if not part.file.is_seekable:
                target.truncate()
            for chunk in self._source.read(part.file, part.offset, part.end):
                self._check_deadline()
                if part.end is not None and part.offset + len(chunk) > part.end:
                    raise FetchFailedError(f"{part.file.name} has more bytes than the server said before.")
                self._count(len(chunk))
                target.write(chunk)
                part.offset += len(chunk)
        if part.end is not None and part.offset < part.end:
            raise FetchFailedError(f"{part.file.name} ended early: the server sent fewer bytes than it said.")

    def _count(self, number: int) -> None:
        with self._lock:
            self._received += number
            self._check_bytes(self._received)

    def _check_deadline(self) -> None:
        if self._stop.is_set():
            raise FetchAbandonedError("Fetching was given up.")
        self._check_time()

    def _check_time(self) -> None:
        if monotonic() > self._deadline:
            raise FetchAbandonedError(
                f"Fetching took longer than {self._bounds.timeout_seconds:.0f} seconds: raise "
                "SCORING_FETCH_TIMEOUT_SECONDS, or look at what makes it slow."
            )


def _check_names(files: Sequence[RemoteFile]) -> None:
    if len(files) > MAX_FILES:
        raise ArtifactTooLargeError(f"The artifact has more than {MAX_FILES} files: pack them into an archive.")
    for file in files:
        path = PurePosixPath(file.name)
        is_inside = not path.is_absolute() and ".." not in path.parts and str(path) == file.name and path.parts
        if not is_inside or set(file.name) & set("\\\n\r\0"):
            raise ArtifactCorruptError(
                f"The artifact's file {file.name[:200]!r} is refused: its path leaves the folder."
            )
    names = {file.name for file in files}
    if len(names) < len(files):
        raise ArtifactCorruptError("Two of the artifact's files have the same name: rename one.")
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    if clash := sorted(names & folders):
        raise ArtifactCorruptError(f"{clash[0][:200]!r} in the artifact is both a file and a folder: rename one.")
