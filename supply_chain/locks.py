"""The images of the project and the locks that say what is installed in each."""

import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / "build" / "audit" / "bin"
"""Where `make build/audit/installed` puts pip-audit and cyclonedx-py."""

VARIANTS = ("sklearn", "onnx", "torch", "tensorflow", "mlflow", "fetch")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Image:
    """One image: its name, its own distribution and version, and its lock."""

    name: str
    distribution: str
    lock: Path
    own_version: str = ""
    """Of what is no distribution that is installed here."""

    @property
    def version(self) -> str:
        """The version of the project's own distribution in it."""
        return self.own_version or version(self.distribution)


IMAGES = (
    Image("scoring-operator", "scoring-operator", ROOT / "operator" / "requirements.txt"),
    *(
        Image(
            f"scoring-runtime-{variant}",
            "scoring-runtime",
            ROOT / "serving_runtime" / f"requirements-{variant}.txt",
        )
        for variant in VARIANTS
    ),
    Image("scoring-client", "scoring-client", ROOT / "samples" / "client" / "requirements.txt", own_version="0.1.0"),
)


def read_pins(lock: Path) -> dict[str, str]:
    """Return the locked versions by package."""
    return dict(_PIN.findall(lock.read_text()))
