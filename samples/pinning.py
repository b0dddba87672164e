"""Pins a sample's ScoringModel to the artifact that was packed: its YAML stays as it is, comments included."""

import re
from pathlib import Path

_URI_LINE = re.compile(r"^(?P<indent> *)uri: .*\n(?: *digest: .*\n)?", re.MULTILINE)


def write_scoring_model(template: Path, target: Path, digest: str) -> Path:
    """Write the ScoringModel in `template` to `target`, with the digest below the URI."""
    target.write_text(add_digest(template.read_text(encoding="utf-8"), digest), encoding="utf-8")
    return target


def add_digest(manifest: str, digest: str) -> str:
    """Return the ScoringModel's YAML with the digest on the line below the URI, instead of any that stands there."""

    def pin(found: re.Match[str]) -> str:
        uri_line = found[0].splitlines()[0]
        return f"{uri_line}\n{found['indent']}digest: {digest}\n"

    return _URI_LINE.sub(pin, manifest, count=1)
