"""A trial of an artifact, before it is put anywhere: the runtime's own code loads it and asks its example, in a process of its own.

That process knows nothing of the user's code, as a replica does not: a model that needs a class of it fails here too.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scoring_cli.errors import InputInvalid

MODULE = "scoring_cli.trial_process"
NOT_INSTALLED = ("FormatNotInstalled", "DriverNotInstalled")


def try_artifact(archive: Path, digest: str) -> str:
    """Return a sentence about how the trial went. Raises InputInvalid, with the runtime's own words, when the model would not be served."""
    with TemporaryDirectory() as folder:
        words = [sys.executable, "-m", MODULE, archive.resolve().as_uri(), digest, folder]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603  # our own program
    said = _read_last_line(done.stdout)
    if said is None:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise InputInvalid(f"The trial of {archive.name} ended with status {done.returncode}: {last}.")
    if said["code"] in NOT_INSTALLED:
        return f"not tried: {said['message']}"
    if said["code"] is not None:
        raise InputInvalid(f"The runtime would not serve {archive.name}: {said['code']}: {said['message']}")
    return str(said["message"])


def _read_last_line(text: str) -> dict[str, Any] | None:
    try:
        said: dict[str, Any] = json.loads(text.splitlines()[-1])
    except (IndexError, ValueError):
        return None
    return said
