"""The table of peers: how each is started and asked, as its own documentation does. Above `dialects`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from benchmarks.serving.dialects import (
    Picture,
    ask_picture_as_reference,
    ask_picture_in_field,
    ask_picture_in_form,
    ask_picture_in_v1,
    ask_picture_in_v2,
    ask_picture_raw,
    ask_row,
    ask_row_in_v1,
    ask_row_in_v2,
)
from benchmarks.serving.environments import HERE, PEERS, get_environment, read_pins
from benchmarks.serving.errors import BenchmarkError
from benchmarks.serving.servers import LOOPBACK, Call, Ports, Server

MODELS = HERE / "models"

ModelName = Literal["trivial", "resnet"]


@dataclass(frozen=True)
class Peer:
    """A peer by name.

    `folder`, below peers/, has its lock and server files; `package` is the one whose version is shown; the first word of
    `command` is a program of its environment; `ready` is a path that answers 200 once the model is loaded.
    """

    name: str
    folder: str
    package: str
    command: Callable[[ModelName, Ports], Sequence[str | int]]
    ask_row: Callable[[], Call]
    ask_picture: Callable[[Picture], Call] | None  # None: a variant of another peer, for the trivial model alone
    ready: str = "/"
    environment: Callable[[Ports], Mapping[str, str | int]] = lambda _ports: {}

    @property
    def lock(self) -> Path:
        """The lock of its environment."""
        return PEERS / self.folder / "requirements.txt"


def make_server(peer: Peer, model: ModelName, call: Call, environment: Mapping[str, str]) -> Server:
    """Return the peer's server of a model, its environment made when missing. Raises EnvironmentFailed."""
    python = get_environment(peer.lock, peer.folder)

    def list_words(ports: Ports) -> list[str]:
        program, *words = map(str, peer.command(model, ports))
        return [str(python.with_name(program)), *words]

    def list_variables(ports: Ports) -> dict[str, str]:
        own = {name: str(value) for name, value in peer.environment(ports).items()}
        path = f"{python.parent}:/usr/local/bin:/usr/bin:/bin"
        return {"PYTHONPATH": str(MODELS), "PATH": path, **environment, **own}

    return Server(
        name=peer.name,
        command=list_words,
        folder=PEERS / peer.folder,
        call=call,
        environment=list_variables,
        ready=peer.ready.format(model=model),
        details={"package": peer.package, "version": read_pins(peer.lock)[peer.package]},
    )


def find_peers(names: Sequence[str]) -> list[Peer]:
    """Return the peers of these names, all without any. Raises BenchmarkError for an unknown name."""
    known = {peer.name: peer for peer in ALL}
    if unknown := set(names) - known.keys():
        raise BenchmarkError(f"no peer is named {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [known[name] for name in names] if names else list(ALL)


def _make_mlserver(name: str, workers: int) -> Peer:
    return Peer(
        name,
        folder="mlserver",
        package="mlserver",
        command=lambda model, _ports: ("mlserver", "start", model),
        ask_row=partial(ask_row_in_v2, "trivial"),
        ask_picture=None if workers else partial(ask_picture_in_v2, shape=[1]),
        ready="/v2/models/{model}/ready",
        environment=lambda ports: {
            "MLSERVER_HOST": LOOPBACK,
            "MLSERVER_HTTP_PORT": ports[0],
            "MLSERVER_GRPC_PORT": ports[1],
            "MLSERVER_METRICS_PORT": ports[2],
            "MLSERVER_PARALLEL_WORKERS": workers,
            "MLSERVER_DEBUG": "false",
        },
    )


def _make_kserve(name: str, ask: Callable[[str], Call], ask_picture: Callable[[Picture], Call] | None) -> Peer:
    return Peer(
        name,
        folder="kserve",
        package="kserve",
        command=lambda model, ports: (
            *("python", f"{model}.py", "--model_name", model),
            *("--http_port", ports[0], "--grpc_port", ports[1]),
        ),
        ask_row=partial(ask, "trivial"),
        ask_picture=ask_picture,
        ready="/v2/models/{model}/ready",
    )


ALL = (
    Peer(
        "fastapi",
        folder="fastapi_uvicorn",
        package="fastapi",
        command=lambda model, ports: ("uvicorn", f"{model}:app", "--host", LOOPBACK, "--port", ports[0]),
        ask_row=partial(ask_row, "/score"),
        ask_picture=partial(ask_picture_raw, path="/score"),
    ),
    Peer(
        "flask",
        folder="flask_gunicorn",
        package="gunicorn",
        command=lambda model, ports: ("gunicorn", "--bind", f"{LOOPBACK}:{ports[0]}", "--workers", 1, f"{model}:app"),
        ask_row=partial(ask_row, "/score"),
        ask_picture=ask_picture_as_reference,
    ),
    _make_kserve("kserve", ask_row_in_v1, ask_picture_in_v1),
    _make_kserve("kserve-v2", ask_row_in_v2, None),
    _make_mlserver("mlserver", workers=0),
    _make_mlserver("mlserver-pool", workers=1),
    Peer(
        "pytriton",
        folder="pytriton",
        package="nvidia-pytriton",
        command=lambda model, ports: ("python", f"{model}.py", *ports),
        ask_row=partial(ask_row_in_v2, "trivial"),
        ask_picture=partial(ask_picture_in_v2, shape=[1, 1]),
        ready="/v2/models/{model}/ready",
    ),
    Peer(
        "litserve",
        folder="litserve",
        package="litserve",
        command=lambda model, ports: ("python", f"{model}.py", ports[0]),
        ask_row=partial(ask_row, "/predict", answer="output"),
        ask_picture=ask_picture_in_field,
        ready="/health",
    ),
    Peer(
        "bentoml",
        folder="bentoml",
        package="bentoml",
        command=lambda model, ports: ("bentoml", "serve", "--host", LOOPBACK, "--port", ports[0], f"{model}:Service"),
        ask_row=partial(ask_row, "/score", field="rows", answer=""),
        ask_picture=ask_picture_in_form,
        ready="/readyz",
        environment=lambda _ports: {"BENTOML_DO_NOT_TRACK": "True"},
    ),
    Peer(
        "ray",
        folder="ray_serve",
        package="ray",
        command=lambda model, ports: ("python", f"{model}.py", ports[0]),
        ask_row=partial(ask_row, "/"),
        ask_picture=partial(ask_picture_raw, path="/"),
        ready="/-/healthz",
        environment=lambda _ports: {"RAY_USAGE_STATS_ENABLED": 0},
    ),
)
