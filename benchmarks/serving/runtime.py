"""Our runtime as a server under test, started as its image starts it. Above `servers`."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.serving.environments import get_image_environment
from benchmarks.serving.servers import Call, Ports, Server

_RUNTIME = Path(__file__).parents[2] / "serving_runtime"


@dataclass(frozen=True)
class Artifact:
    """A packaged model: the name to serve it by, its archive and digest, and the folder of its Python code, if any.

    `variant` is that of the image whose packages serve it; without one, this environment does, with the packages of all.
    """

    name: str
    archive: Path
    digest: str
    code: Path | None = None
    variant: str | None = None


def make_runtime(
    name: str, artifact: Artifact, call: Call, work: Path, settings: Mapping[str, str] | None = None
) -> Server:
    """Return the server; it unpacks into `work`. `settings` are SCORING_ variables that differ from the defaults."""
    work.mkdir(parents=True, exist_ok=True)
    python = _find_python(artifact.variant)

    def list_variables(ports: Ports) -> dict[str, str]:
        code = {"PYTHONPATH": str(artifact.code)} if artifact.code else {}
        return {
            **code,
            "SCORING_MODEL_NAME": artifact.name,
            "SCORING_MODEL_URI": artifact.archive.resolve().as_uri(),
            "SCORING_MODEL_DIGEST": artifact.digest,
            "SCORING_WORK_DIR": str(work),
            "SCORING_PORT": str(ports[0]),
            "SCORING_GRPC_PORT": str(ports[1]),
            "SCORING_TERMINATION_LOG": str(work / "termination-log"),
            "SCORING_DRAIN_SECONDS": "0",
            **(settings or {}),
        }

    return Server(
        name,
        command=lambda _ports: (python, "-m", "scoring_runtime"),
        folder=work,
        call=call,
        environment=list_variables,
        ready="/readyz",
        about="/version",
        details={"package": "scoring-runtime", "version": version("scoring-runtime")},
    )


def _find_python(variant: str | None) -> Path:
    if variant is None:
        return Path(sys.executable)
    return get_image_environment(_RUNTIME / f"requirements-{variant}.txt", _RUNTIME)
