"""The packaged models that end-to-end tests serve."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Artifacts:
    """Packaged models on this machine, and their digests."""

    faq: Path
    faq_digest: str
    faq_manifest: Path
    held_out: Path
    resnet: Path
    resnet_manifest: Path
