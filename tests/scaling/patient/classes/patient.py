"""A model that takes time and no processor: one replica answers two requests a second, on the busiest machine too."""

import time
from pathlib import Path
from typing import Any

SECONDS = 0.5


class Patient:
    """Answers its input, after a while."""

    def load(self, path: Path) -> None:
        """Need nothing of the artifact."""

    def score(self, batch: list[Any]) -> list[Any]:
        """Return the batch when its time has passed."""
        time.sleep(SECONDS)
        return batch
