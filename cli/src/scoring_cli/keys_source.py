"""The API key that an endpoint asks for: read from a file, standard input or a Secret, never from the command line. It is never printed."""

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from scoring_cli.cluster import Cluster
from scoring_cli.errors import ClusterError, InputInvalid
from scoring_cli.files import read_text
from scoring_operator.kinds import Kind

SECRET = Kind("v1", "Secret", "secrets")
DEFAULT_ENTRY = "key"
HASH_PREFIX = "sha256:"


@dataclass(frozen=True)
class KeySource:
    """Where the key is, as the options say."""

    file: Path | None = None
    secret: str | None = None

    def read(self, cluster: Cluster | None) -> str | None:
        """Return the key, or None without any. Raises InputInvalid, ClusterError, naming the option."""
        if self.file is not None and self.secret is not None:
            raise InputInvalid("--key-file and --key-secret exclude each other.")
        if self.file is not None:
            return _check(read_text(self.file, "--key-file").strip(), "--key-file")
        if self.secret is None:
            return None
        if cluster is None:
            raise InputInvalid("--key-secret needs a cluster: with --url give the key by --key-file.")
        return _check(_read_secret(cluster, self.secret), "--key-secret")


def _read_secret(cluster: Cluster, reference: str) -> str:
    name, _, entry = reference.partition("/")
    entry = entry or DEFAULT_ENTRY
    try:
        data = cluster.get(SECRET, name).get("data") or {}
    except ClusterError as error:
        raise ClusterError(f"--key-secret: {error}") from error
    if entry not in data:
        raise InputInvalid(
            f"--key-secret: the Secret {name} has no entry {entry}; it has: {', '.join(sorted(data)) or 'none'}."
        )
    try:
        return base64.b64decode(data[entry], validate=True).decode().strip()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InputInvalid(f"--key-secret: the entry {entry} of {name} is no text.") from error


def _check(key: str, option: str) -> str:
    if key.startswith(HASH_PREFIX):
        raise InputInvalid(
            f"{option}: that is the hash that the endpoint's own Secret holds, not the key: keep the key in a Secret of the client's."
        )
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise InputInvalid(f"{option}: there is no API key in it: one line of letters, digits and signs.")
    return key
