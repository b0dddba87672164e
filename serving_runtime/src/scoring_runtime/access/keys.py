"""API keys: a folder with one file for each name, as a Secret is mounted; only hashes of keys are in it.

A file has a line for each key of that name: `sha256:<64 hex> [expires=2027-01-31T00:00:00Z] [models=faq,resnet152]`. Two
lines let an old key work while its users change to the new one. A key is 256 random bits, so a plain SHA-256 is enough:
nobody can try out that many, and salt and slow hashes are for passwords that people choose.
"""

import hashlib
import importlib
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from scoring_runtime.access import Caller
from scoring_runtime.access.errors import ApiKeysMissingError

PREFIX = "scoring_"
"""Of every key made here, so that scanners for leaked secrets and the redaction of logs can tell one."""

LOOK_SECONDS = 1.0
MAX_FILE_BYTES = 2**16

_ENTRY = re.compile(r"sha256:([0-9a-f]{64})((?:\s+[a-z]+=\S+)*)")
_READS = 3

_logger = structlog.stdlib.get_logger(__name__)


def _choose_sha256() -> Callable[[bytes], Any]:
    """Return CPython's own SHA-256 where it has one: OpenSSL's takes 3 µs longer beside a model, for finding its implementation."""
    for module in ("_sha2", "_sha256"):  # since Python 3.12, and before
        with suppress(ImportError):
            own: Callable[[bytes], Any] = importlib.import_module(module).sha256
            return own
    return hashlib.sha256


_sha256 = _choose_sha256()


@dataclass(frozen=True)
class KeySet:
    """The keys of one look at the folder: callers by the digest of their key; `problems` names what was left out, and why."""

    callers: Mapping[bytes, Caller] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names of all usable keys."""
        return frozenset(caller.name for caller in self.callers.values())


class KeyRing:
    """The keys of a folder, followed as it changes. `watch` looks once a second on a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state, self._keys = _read_settled(folder)

    def find(self, key: str) -> Caller | None:
        """Return whose key this is; None for nobody's.

        The key itself is compared with nothing: its digest is looked up, and how long that takes tells of the digest only,
        from which no key can be computed.
        """
        return self._keys.callers.get(_sha256(key.encode()).digest())

    def check(self) -> None:
        """Raise ApiKeysMissingError when there is no usable key at all."""
        if not self._keys.callers:
            reason = "; ".join(self._keys.problems) or "it has no entries"
            raise ApiKeysMissingError(
                f"No API key can be used: {reason}. Make one with `scoring-runtime keys new`, and put its entry into the Secret."
            )

    def watch(self) -> None:
        """Follow the folder from now on. Never ends by an error: what cannot be read admits nobody until it can."""
        threading.Thread(target=self._follow, name="keys", daemon=True).start()

    def look(self) -> bool:
        """Read the folder again if it has changed; return whether it has."""
        if _fingerprint(self._folder) == self._state:
            return False
        before = self._keys.names
        self._state, self._keys = _read_settled(self._folder)
        names = self._keys.names
        _logger.info("keys changed", keys=len(names), added=sorted(names - before), removed=sorted(before - names))
        for problem in self._keys.problems:
            _logger.warning("key left out", reason=problem)
        return True

    def _follow(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(LOOK_SECONDS)
            self.look()


def make_key() -> str:
    """Return a new key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """Return a key's entry, the same as `printf %s "$KEY" | sha256sum` behind `sha256:`."""
    return f"sha256:{_sha256(key.encode()).hexdigest()}"


def parse_entries(name: str, text: str) -> Iterator[tuple[bytes, Caller]]:
    """Yield digest and caller of each line of a name's file. Raises ValueError for a line that is none."""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _ENTRY.fullmatch(line.strip())
        if found is None:
            raise ValueError("a line is not `sha256:<64 hexadecimal digits>` with expires= or models= behind it")
        yield bytes.fromhex(found[1]), _parse_limits(name, found[2].split())


def read_keys(files: Mapping[str, str]) -> KeySet:
    """Return the keys of all files, by name. A file with an entry that is wrong is left out as a whole."""
    callers: dict[bytes, Caller] = {}
    problems = []
    for name, text in sorted(files.items()):
        try:
            entries = dict(parse_entries(name, text))
        except ValueError as error:
            problems.append(f"{name}: {error}")
            continue
        problems += [f"{name}: its key is {callers[digest].name}'s too" for digest in entries if digest in callers]
        callers = {**entries, **callers}
    return KeySet(callers, tuple(problems))


def _parse_limits(name: str, words: list[str]) -> Caller:
    limits = dict(word.split("=", 1) for word in words)
    unknown = sorted(limits.keys() - {"expires", "models"})
    if unknown:
        raise ValueError(f"{unknown[0]}= is not known here: there are expires= and models=")
    models = frozenset(limits["models"].split(",")) if "models" in limits else None
    return Caller(name, name, parse_time(limits["expires"]) if "expires" in limits else None, models)


def parse_time(text: str) -> float:
    """Return the seconds since the epoch of a time such as 2027-01-31T00:00:00Z. Raises ValueError without a time zone."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} names no time zone: write it as 2027-01-31T00:00:00Z")
    return time.timestamp()


def _read_settled(folder: Path) -> tuple[object, KeySet]:
    """Return what the folder looks like and its keys; when it changes meanwhile, it is read again."""
    for _ in range(_READS):
        state = _fingerprint(folder)
        keys = _read_folder(folder)
        if _fingerprint(folder) == state:
            break
    return state, keys


def _fingerprint(folder: Path) -> object:
    """Return something that changes when the folder does. The kubelet swaps the link `..data`; other folders are listed."""
    try:
        return (folder / "..data").readlink()
    except OSError:
        pass
    try:
        stats = ((file.name, file.stat()) for file in _list_files(folder))
        return sorted((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
    except OSError as error:
        return type(error).__name__


def _read_folder(folder: Path) -> KeySet:
    try:
        return read_keys(read_files(folder))
    except OSError as error:
        return KeySet(problems=(f"the folder of keys cannot be read: {error.strerror}",))


def read_files(folder: Path) -> dict[str, str]:
    """Return the texts of a folder's files by their names. Raises OSError."""
    return {file.name: _read_file(Path(file)) for file in _list_files(folder)}


def _list_files(folder: Path) -> list[os.DirEntry[str]]:
    # Each call to the file system lets the interpreter's lock go, and waits for it behind the requests: one for each file, not three.
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith("..") and entry.is_file()]


def _read_file(path: Path) -> str:
    with path.open("rb") as file:
        # What is no text is no entry: the name is left out.
        return file.read(MAX_FILE_BYTES).decode(errors="replace")
