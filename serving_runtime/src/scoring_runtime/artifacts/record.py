"""The record that the fetching container leaves for the serving one: what was fetched, and where it lies. Used by retrieval.py."""

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from scoring_runtime.errors import FetchFailedError, InvalidSettingsError

FILE_NAME = "record.json"


@dataclass(frozen=True)
class Record:
    """A verified artifact: URI without credentials, digest, bytes as fetched, and its folder."""

    uri: str
    digest: str
    bytes: int
    path: str


def write_record(work_dir: Path, record: Record) -> None:
    """Write the record, whole or not at all."""
    partial = work_dir / f"{FILE_NAME}.part"
    partial.write_bytes(orjson.dumps(asdict(record)))
    partial.replace(work_dir / FILE_NAME)


def read_record(work_dir: Path, uri: str, digest: str | None) -> Record:
    """Return the record of this URI and digest. Raises FetchFailedError when there is none, InvalidSettingsError for another's."""
    try:
        record = Record(**orjson.loads((work_dir / FILE_NAME).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise FetchFailedError(
            f"The fetching container has left no record in {work_dir}: delete the pod, so that the artifact is fetched anew."
        ) from error
    if record.uri != uri or digest not in (None, record.digest):
        raise InvalidSettingsError(f"What was fetched is {record.uri} with {record.digest}, not what is to be served.")
    if not Path(record.path).is_dir():
        raise FetchFailedError(f"The fetched artifact is not at {record.path} any more: delete the pod.")
    return record
