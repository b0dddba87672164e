"""Where everything of a cluster lies, and what is remembered of it between two runs of the program."""

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from local_cluster.errors import LocalClusterError, StateInvalid

REPOSITORY = Path(__file__).resolve().parent.parent
NAME_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,29}")

NodeKind = Literal["real", "none"]
Provider = Literal["local", "kind"]


class Addon(StrEnum):
    """What a cluster can have beside Kubernetes itself."""

    CERT_MANAGER = "cert-manager"
    FLUX = "flux"
    KARPENTER = "karpenter"
    KEDA = "keda"
    PROMETHEUS = "prometheus"
    TRAEFIK = "traefik"


def cache_folder() -> Path:
    """Folder of what outlives a cluster: programs and images. SCORING_CACHE_DIR overrides it."""
    return Path(os.environ.get("SCORING_CACHE_DIR") or Path.home() / ".cache" / "scoring-operator")


def state_folder() -> Path:
    """Folder of the clusters; also KWOK_WORKDIR of kwokctl. SCORING_STATE_DIR overrides it."""
    return Path(os.environ.get("SCORING_STATE_DIR") or Path.home() / ".local" / "state" / "scoring-operator")


@dataclass(frozen=True)
class Cluster:
    """The paths of one cluster."""

    name: str

    def __post_init__(self) -> None:
        if not NAME_PATTERN.fullmatch(self.name):
            raise LocalClusterError(
                f"cluster name {self.name!r}: a lower-case letter, then at most 29 letters, digits or -"
            )

    @property
    def folder(self) -> Path:
        """Everything of the control plane (kwokctl's own layout) and the configuration of the node."""
        return state_folder() / "clusters" / self.name

    @property
    def kubeconfig(self) -> Path:
        """Self-contained kubeconfig for people and tests."""
        return self.folder / "kubeconfig"

    @property
    def node_folder(self) -> Path:
        """Configuration, certificates and logs of the real node."""
        return self.folder / "node"

    @property
    def registries_folder(self) -> Path:
        """How the real node reaches image registries: containerd's `<host:port>/hosts.toml`. Empty unless somebody needs one."""
        return self.node_folder / "registries"

    @property
    def addons_folder(self) -> Path:
        """Configuration, certificates, logs and data of the add-ons."""
        return self.folder / "addons"

    @property
    def data_folder(self) -> Path:
        """Data of the real node: containerd's store, kubelet's root, volumes. Only root writes here."""
        return Path("/var/lib/scoring-operator") / self.name

    @property
    def run_folder(self) -> Path:
        """Sockets and mounts of the real node; short, since socket paths may have 107 characters at most."""
        return Path("/run/scoring-operator") / self.name

    @property
    def containerd_socket(self) -> Path:
        """Socket of the cluster's own containerd."""
        return self.run_folder / "containerd.sock"


@dataclass
class Record:
    """What is remembered of a cluster: which parts it has, and what `down` must put back."""

    node: NodeKind = "none"
    addons: list[Addon] = field(default_factory=list)
    created: bool = False
    ports: dict[str, int] = field(default_factory=dict)
    sysctls_before: dict[str, str] = field(default_factory=dict)


def load_record(cluster: Cluster) -> Record | None:
    """The record of a cluster; None when there is none; StateInvalid when it cannot be read."""
    path = cluster.folder / "cluster.json"
    try:
        record = Record(**json.loads(path.read_text()))
        record.addons = [Addon(name) for name in record.addons]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise StateInvalid(f"{path} is not readable ({error}); `down --name {cluster.name}` removes it") from error
    return record


def save_record(cluster: Cluster, record: Record) -> None:
    """Write the record in one step, so that a crash leaves the old or the new one."""
    cluster.folder.mkdir(parents=True, exist_ok=True)
    write_whole(cluster.folder / "cluster.json", json.dumps(asdict(record), indent=2) + "\n")


def lock_path(cluster: Cluster) -> Path:
    """The file whose lock a run holds while it changes the cluster; outside the folder, which `down` removes."""
    return state_folder() / "locks" / cluster.name


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file so that readers see the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    part.replace(path)


def remove_folder(folder: Path) -> bool:
    """Remove a folder if it is there; answers whether it was."""
    if not folder.exists():
        return False
    shutil.rmtree(folder)
    return True


def other_clusters(cluster: Cluster) -> list[tuple[Cluster, Record]]:
    """The other clusters of this user whose records can be read."""
    found = []
    for path in sorted(state_folder().glob("clusters/*/cluster.json")):
        if path.parent.name == cluster.name or not NAME_PATTERN.fullmatch(path.parent.name):
            continue
        try:
            record = load_record(Cluster(path.parent.name))
        except StateInvalid:
            continue
        if record is not None:
            found.append((Cluster(path.parent.name), record))
    return found
