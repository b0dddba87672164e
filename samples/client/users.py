"""Users of the app's own: a folder with a file for each name, which holds the hash of the password. Above `errors`.

The folder is a mounted Secret, read at each look: a user who is taken out, or gets another password, is signed out.
"""

import functools
import hashlib
import re
import threading
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from samples.client.errors import SignInError

NAME = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]{0,62}")
MAX_WAITING = 8
BUSY_WAIT_SECONDS = 5


def hash_password(password: str) -> str:
    """Return the entry for a password: argon2id with RFC 9106's parameters for little memory (64 MiB)."""
    return PasswordHasher().hash(password)


@functools.cache
def hash_nobody() -> str:
    """Return a hash that no password is tried for but in vain."""
    return hash_password("nobody has this password")


class Users:
    """The users in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hasher = PasswordHasher()
        # One hash at a time: each takes 64 MiB, and the pod has a limit. Few may wait, or they would hold all threads.
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_WAITING)

    def is_empty(self) -> bool:
        """Tell whether there is nobody."""
        return not self._folder.is_dir() or not any(NAME.fullmatch(path.name) for path in self._folder.iterdir())

    def check(self, name: str, password: str) -> bool:
        """Tell whether the password is that of the user; it takes as long for a name that is not there.

        Raises SignInError when too many are being signed in.
        """
        if not self._places.acquire(blocking=False):
            message = "Many people are signing in just now. Please try again in a moment."
            raise SignInError(503, "Busy", message, retry_after=BUSY_WAIT_SECONDS)
        try:
            with self._turn:
                return self._verify(self._read(name), password)
        finally:
            self._places.release()

    def _verify(self, entry: str | None, password: str) -> bool:
        try:
            self._hasher.verify(entry or hash_nobody(), password)
        except (VerificationError, InvalidHashError):
            return False
        return entry is not None

    def find_stamp(self, name: str) -> str | None:
        """Return what stands for the user's present password in a session; None when the user is not there."""
        entry = self._read(name)
        return None if entry is None else hashlib.sha256(entry.encode()).hexdigest()[:16]

    def _read(self, name: str) -> str | None:
        # A name is never a path: no slash, no dot at its start.
        if NAME.fullmatch(name) is None:
            return None
        try:
            return (self._folder / name).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None
