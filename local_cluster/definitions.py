"""Custom resource definitions of other projects, read from their Go modules: nothing is built, and nothing is copied.

The modules are pinned in `tools`, as those of the programs are; Go keeps and verifies them.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from local_cluster.commands import run
from local_cluster.errors import CommandFailed, LocalClusterError, ProgramUnavailable
from local_cluster.programs import get_programs, program_path
from local_cluster.state import REPOSITORY

DEFINITION = "kind: CustomResourceDefinition\n"
DOWNLOAD_SECONDS = 300
TEMPLATED_LINE = re.compile(r"^.*\{\{.*\n", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """A project's module, the folder of `tools` that pins it, and where its definitions lie in it."""

    tools: str
    module: str
    folders: tuple[str, ...]
    kustomized: bool = False
    """Whether the files alone are not valid, and the folder's kustomization makes them so."""

    templated: bool = False
    """Whether labels in the files are for Helm to fill in; they are left out."""

    @property
    def folder(self) -> Path:
        """Where the module's files lie, downloaded first if necessary; ProgramUnavailable without Go or the module."""
        command = ["go", "mod", "download", "-json", self.module]
        try:
            answer = run(
                command, folder=REPOSITORY / "local_cluster" / "tools" / self.tools, timeout_seconds=DOWNLOAD_SECONDS
            )
        except CommandFailed as error:
            raise ProgramUnavailable(f"{self.module} is read from its Go module, which needs Go: {error}") from error
        return Path(json.loads(answer)["Dir"])


SOURCES = {
    "cert-manager": Source("cert-manager", "github.com/cert-manager/cert-manager", ("deploy/crds",), templated=True),
    "gateway-api": Source("crds", "sigs.k8s.io/gateway-api", ("config/crd/standard",)),
    "karpenter": Source("karpenter", "sigs.k8s.io/karpenter", ("pkg/apis/crds", "kwok/apis/crds")),
    "keda": Source("keda", "github.com/kedacore/keda/v2", ("config/crd",), kustomized=True),
    "kserve": Source("kserve", "github.com/kserve/kserve", ("config/crd/full",), kustomized=True),
    "kustomize-controller": Source(
        "kustomize-controller", "github.com/fluxcd/kustomize-controller", ("config/crd/bases",)
    ),
    "prometheus-operator": Source(
        "crds", "github.com/prometheus-operator/prometheus-operator", ("example/prometheus-operator-crd",)
    ),
    "source-controller": Source("crds", "github.com/fluxcd/source-controller", ("config/crd/bases",)),
}


def find_source(name: str) -> Source:
    """The project of that name; LocalClusterError with the known ones for another."""
    if name not in SOURCES:
        raise LocalClusterError(f"no definitions of {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[name]


def read_definitions(name: str) -> str:
    """The project's definitions as one YAML text for kubectl; LocalClusterError for an unknown name."""
    source = find_source(name)
    folders = [source.folder / folder for folder in source.folders]
    if source.kustomized:
        get_programs(["kubectl"], lambda _: None)
        return "---\n".join(run([program_path("kubectl"), "kustomize", folder]) for folder in folders)
    texts = [path.read_text() for folder in folders for path in sorted(folder.glob("*.yaml"))]
    if source.templated:
        texts = [TEMPLATED_LINE.sub("", text) for text in texts]
    # Gateway API's folder holds an admission policy too, which would keep other versions out.
    return "---\n".join(text for text in texts if DEFINITION in text)
