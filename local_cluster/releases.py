"""The programs of a cluster: which versions, where they are published, and from which Go packages they can be built."""

import platform
from dataclasses import dataclass
from pathlib import Path

from local_cluster.errors import ProgramUnavailable
from local_cluster.state import REPOSITORY, Addon, Record, cache_folder

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """The machine's architecture in Go's words; ProgramUnavailable for one without published programs."""
    try:
        return ARCHITECTURES[platform.machine()]
    except KeyError as error:
        raise ProgramUnavailable(f"no programs for {platform.machine()}; x86_64 and aarch64 have them") from error


@dataclass(frozen=True)
class Release:
    """One published version of a project and the programs in it.

    `download` is the address of one program or of an archive that holds it; `{name}`, `{version}` and `{arch}` are
    filled in. The checksum is published beside it (`.sha256`), or, for GitHub, in the release's own listing. It is empty
    where only container images are published: such programs are always built.
    """

    project: str
    version: str
    packages: dict[str, str]
    download: str = ""
    member: str = ""
    linker_flags: str = "-s -w"
    tags: str = ""

    @property
    def folder(self) -> Path:
        """Where the programs of this version are kept."""
        return cache_folder() / "programs" / f"{self.project}-{self.version}"

    @property
    def module_folder(self) -> Path:
        """The Go module that pins the sources of this version."""
        return REPOSITORY / "local_cluster" / "tools" / self.project

    def path(self, name: str) -> Path:
        """Where one program is kept, whether it is there or not."""
        return self.folder / name

    def url(self, name: str) -> str:
        """Where one program, or the archive that holds it, is published."""
        return self.download.format(name=name, version=self.version, arch=architecture())

    def member_path(self, name: str) -> str:
        """The program's path in the archive; empty when no archive is published."""
        return self.member.format(name=name, version=self.version, arch=architecture())


KUBERNETES_VERSION = "v1.36.3"
_COMPONENT = "k8s.io/component-base/version"

KUBERNETES = Release(
    "kubernetes",
    KUBERNETES_VERSION,
    {
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
    },
    "https://dl.k8s.io/{version}/bin/linux/{arch}/{name}",
    linker_flags=(
        f"-s -w -X {_COMPONENT}.gitVersion={KUBERNETES_VERSION} -X {_COMPONENT}.gitMajor=1"
        f" -X {_COMPONENT}.gitMinor=36 -X {_COMPONENT}.gitTreeState=clean"
    ),
)
ETCD = Release(
    "etcd",
    "v3.6.16",
    {"etcd": "go.etcd.io/etcd/server/v3"},
    "https://github.com/etcd-io/etcd/releases/download/{version}/etcd-{version}-linux-{arch}.tar.gz",
    member="etcd-{version}-linux-{arch}/{name}",
)
KWOK = Release(
    "kwok",
    "v0.7.0",
    {"kwok": "sigs.k8s.io/kwok/cmd/kwok", "kwokctl": "sigs.k8s.io/kwok/cmd/kwokctl"},
    "https://github.com/kubernetes-sigs/kwok/releases/download/{version}/{name}-linux-{arch}",
)
METRICS_SERVER = Release(
    "metrics-server",
    "v0.9.0",
    {"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"},
    "https://github.com/kubernetes-sigs/metrics-server/releases/download/{version}/{name}-linux-{arch}",
)
HELM = Release(
    "helm",
    "v3.22.0",
    {"helm": "helm.sh/helm/v3/cmd/helm"},
    "https://get.helm.sh/helm-{version}-linux-{arch}.tar.gz",
    member="linux-{arch}/{name}",
)
KEDA = Release(
    "keda",
    "v2.20.2",
    {
        "keda-operator": "github.com/kedacore/keda/v2/cmd/operator",
        "keda-adapter": "github.com/kedacore/keda/v2/cmd/adapter",
    },
    linker_flags="-s -w -X github.com/kedacore/keda/v2/version.Version=2.20.2",
)
KARPENTER = Release(
    "karpenter",
    "v1.14.0",
    {"karpenter": "sigs.k8s.io/karpenter/kwok"},
    linker_flags="-s -w -X sigs.k8s.io/karpenter/pkg/operator.Version=1.14.0",
)
PROMETHEUS = Release(
    "prometheus",
    "v0.315.1",  # Go's name for 3.15.1.
    {name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")},
    "https://github.com/prometheus/prometheus/releases/download/v3.15.1/prometheus-3.15.1.linux-{arch}.tar.gz",
    member="prometheus-3.15.1.linux-{arch}/{name}",
    tags="remove_all_sd,enable_kubernetes_sd",  # Half the time to build. Debian's package knows no Kubernetes.
)
VERSITYGW = Release(
    "versitygw",
    "v1.8.0",
    {"versitygw": "github.com/versity/versitygw/cmd/versitygw"},
)
"""An S3 server. Part of no cluster: tests of artifacts run it."""

FAKE_GCS_SERVER = Release(
    "fake-gcs-server",
    "v1.56.1",
    {"fake-gcs-server": "github.com/fsouza/fake-gcs-server"},
    "https://github.com/fsouza/fake-gcs-server/releases/download/{version}/fake-gcs-server_1.56.1_linux_{arch}.tar.gz",
    member="{name}",
)
"""A server with Google Cloud Storage's API. Part of no cluster: tests of artifacts run it."""

TRAEFIK = Release(
    "traefik",
    "v3.6.12",
    {"traefik": "github.com/traefik/traefik/v3/cmd/traefik"},
    "https://github.com/traefik/traefik/releases/download/{version}/traefik_{version}_linux_{arch}.tar.gz",
    member="{name}",
    linker_flags="-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=3.6.12",
)
CERT_MANAGER = Release(
    "cert-manager",
    "v1.11.5",  # The programs of newer ones are Go modules that are not to be had.
    {"cert-manager-controller": "github.com/cert-manager/cert-manager/cmd/controller"},
    linker_flags="-s -w -X github.com/cert-manager/cert-manager/pkg/util.AppVersion=v1.11.5",
)
"""Issues certificates into Secrets."""

KUSTOMIZE_CONTROLLER = Release(
    "kustomize-controller",
    "v1.7.3",  # Newer ones want a newer Go, or need modules that are not to be had.
    {"kustomize-controller": "github.com/fluxcd/kustomize-controller"},
)
"""Flux's: keeps a cluster like the manifests of a Git repository."""

KUBECONFORM = Release(
    "kubeconform",
    "v0.8.0",
    {"kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform"},
    "https://github.com/yannh/kubeconform/releases/download/{version}/kubeconform-linux-{arch}.tar.gz",
    member="{name}",
)
"""Checks manifests against schemas. Part of no cluster."""

KSERVE = Release("kserve", "v0.20.0", {"kserve-manager": "github.com/kserve/kserve/cmd/manager"})
"""Of no cluster: `benchmarks/operator` measures it beside our operator."""

REGISTRY = Release(
    "registry",
    "v3.1.2",
    {"registry": "github.com/distribution/distribution/v3/cmd/registry"},
    "https://github.com/distribution/distribution/releases/download/{version}/registry_3.1.2_linux_{arch}.tar.gz",
    member="registry",
)
"""An image registry. Part of no cluster: tests that need one run it beside theirs."""

RELEASES = (
    KUBERNETES,
    ETCD,
    KWOK,
    METRICS_SERVER,
    HELM,
    KEDA,
    KARPENTER,
    PROMETHEUS,
    TRAEFIK,
    CERT_MANAGER,
    KUSTOMIZE_CONTROLLER,
    KUBECONFORM,
    KSERVE,
    REGISTRY,
    VERSITYGW,
    FAKE_GCS_SERVER,
)

CONTROL_PLANE_PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kwok",
    "kwokctl",
    "metrics-server",
)
NODE_PROGRAMS = ("kubelet", "kube-proxy")
ADDON_PROGRAMS: dict[Addon, tuple[str, ...]] = {
    Addon.CERT_MANAGER: tuple(CERT_MANAGER.packages),
    Addon.FLUX: tuple(KUSTOMIZE_CONTROLLER.packages),
    Addon.KARPENTER: tuple(KARPENTER.packages),
    Addon.KEDA: tuple(KEDA.packages),
    Addon.PROMETHEUS: ("prometheus",),
    Addon.TRAEFIK: tuple(TRAEFIK.packages),
}


def needed_programs(record: Record) -> tuple[str, ...]:
    """The programs that a cluster with these parts needs."""
    node = NODE_PROGRAMS if record.node == "real" else ()
    return (*CONTROL_PLANE_PROGRAMS, *node, *(name for addon in record.addons for name in ADDON_PROGRAMS[addon]))


def find_release(name: str) -> Release:
    """The release that holds a program; ProgramUnavailable for an unknown name."""
    for release in RELEASES:
        if name in release.packages:
            return release
    known = ", ".join(sorted(name for release in RELEASES for name in release.packages))
    raise ProgramUnavailable(f"no program {name!r}; there are {known}")
