"""A model that tells all it knows: prints it, logs it, warns of it, raises it, in its own thread and elsewhere. What it knows is secret."""

# ruff: noqa: T201, B028

import json
import logging
import os
import sys
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any, ClassVar

TOLD = f"planted-in-environment {os.environ.get('DB_PASSWORD', '')} and password=planted-in-code"


class Talkative:
    """Answers texts with themselves; one that says `fail` fails."""

    signature: ClassVar[dict[str, Any]] = {
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
    }

    def load(self, _path: Path) -> None:
        """Tell everything, and fail if asked to."""
        print("loading with", TOLD)
        print(json.dumps({"token": "planted-in-json", "nested": {"api_key": "planted-in-json"}}), file=sys.stderr)
        sys.stdout.buffer.write(b"Authorization: Bearer planted-in-bytes-1\n")
        print("-----BEGIN PRIVATE KEY-----\nplanted-in-key\nplanted-in-key\n-----END PRIVATE KEY-----")
        logging.getLogger("model").error(
            "cannot connect to %s", "https://user:planted-in-uri@host/x?sig=planted-in-query"
        )
        logging.getLogger("model").error("extra", extra={"client_secret": "planted-in-extra"})
        warnings.warn("X-Api-Key: planted-in-warning")
        thread = threading.Thread(target=self.fail)
        thread.start()
        thread.join()
        try:
            self.fail()
        except ValueError:
            traceback.print_exc()
        if os.environ.get("FAILS"):
            self.fail()

    def fail(self) -> None:
        """Fail with all that is known."""
        raise ValueError(TOLD)

    def score(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Answer the batch with itself."""
        texts = [str(text) for text in batch["text"]]
        if any("fail" in text for text in texts):
            raise ValueError(f"cannot score {texts}: {TOLD}")
        print("scored", texts)
        return batch
