"""Where programs come from and where they are kept."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import httpx
import pytest

from local_cluster import downloads, programs
from local_cluster.errors import ProgramUnavailable
from local_cluster.releases import (
    CONTROL_PLANE_PROGRAMS,
    ETCD,
    HELM,
    KEDA,
    KUBERNETES,
    KWOK,
    RELEASES,
    Release,
    find_release,
    needed_programs,
)
from local_cluster.state import Addon, Record

PROGRAM = b"#!/bin/sh\nexit 0\n"


def test_programs_are_kept_by_version_in_the_cache(tmp_path: Path) -> None:
    assert KUBERNETES.path("kubelet") == tmp_path / "cache" / "programs" / "kubernetes-v1.36.3" / "kubelet"


def test_addresses_name_version_and_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert KUBERNETES.url("kubectl") == "https://dl.k8s.io/v1.36.3/bin/linux/arm64/kubectl"
    assert KWOK.url("kwokctl").endswith("/kubernetes-sigs/kwok/releases/download/v0.7.0/kwokctl-linux-arm64")
    assert ETCD.member_path("etcd") == "etcd-v3.6.16-linux-arm64/etcd"


def test_machine_without_published_programs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(ProgramUnavailable, match="riscv64"):
        KUBERNETES.url("kubectl")


def test_unknown_program_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ProgramUnavailable, match="kubectl, kubelet"):
        find_release("k3s")


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.project)
def test_every_release_can_be_built_from_a_module_that_pins_its_version(release: Release) -> None:
    lines = (release.module_folder / "go.mod").read_text().splitlines()
    required = [line.split()[:2] for line in lines if line.startswith("\t")]
    for package in release.packages.values():
        assert any(package.startswith(words[0]) and words[-1] == release.version for words in required)
    assert (release.module_folder / "go.sum").exists()


def test_program_in_the_cache_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    HELM.folder.mkdir(parents=True)
    HELM.path("helm").write_bytes(PROGRAM)
    HELM.path("helm").chmod(0o755)
    monkeypatch.setattr("httpx.head", lambda *_, **__: pytest.fail("asked the network"))
    programs.get_programs(["helm"], lambda _: None)
    assert programs.program_path("helm") == HELM.path("helm")


def test_unfinished_program_counts_as_missing() -> None:
    HELM.folder.mkdir(parents=True)
    HELM.path("helm").write_bytes(PROGRAM)  # Not executable: that comes last.
    assert programs.missing_programs(["helm"]) == ["helm"]
    with pytest.raises(ProgramUnavailable, match="program helm"):
        programs.program_path("helm")


def test_problem_names_everything_when_there_is_neither_network_nor_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "is_reachable", lambda _: False)
    monkeypatch.setattr(programs, "_reachable_hosts", {})
    monkeypatch.setenv("PATH", "/nonexistent")
    [problem] = programs.program_problems(["etcd", "helm"])
    assert "etcd, helm" in problem
    assert "1.26" in problem
    assert "go.dev/dl" in problem


def test_nothing_stands_in_the_way_when_the_publisher_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "is_reachable", lambda _: True)
    monkeypatch.setattr(programs, "_reachable_hosts", {})
    monkeypatch.setenv("PATH", "/nonexistent")
    assert programs.program_problems(["etcd"]) == []


def test_program_that_nobody_publishes_needs_go_even_when_everybody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "is_reachable", lambda _: True)
    monkeypatch.setattr(programs, "_reachable_hosts", {})
    monkeypatch.setenv("PATH", "/nonexistent")
    [problem] = programs.program_problems(["karpenter", "prometheus"])
    assert problem.startswith("karpenter cannot be downloaded")


def test_plain_cluster_needs_no_program_of_an_add_on() -> None:
    assert needed_programs(Record()) == CONTROL_PLANE_PROGRAMS
    assert needed_programs(Record(addons=[Addon.KEDA]))[-2:] == ("keda-operator", "keda-adapter")


def test_several_programs_of_a_release_are_kept_under_our_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    # Go names what it builds after the packages' folders; the word after -o is the folder for them.
    go.write_text(
        '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nshift\nfor name in operator adapter; do echo $name > $1/$name; done\n'
    )
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:{os.environ['PATH']}")
    KEDA.folder.mkdir(parents=True)
    programs._build(KEDA, lambda _: None)
    assert KEDA.path("keda-operator").read_text() == "operator\n"
    assert KEDA.path("keda-adapter").read_text() == "adapter\n"


class Publisher:
    """Answers downloads from a table of addresses, as the publishers' servers would."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages

    def __call__(self, request: httpx.Request) -> httpx.Response:
        page = self.pages.get(str(request.url))
        return httpx.Response(404) if page is None else httpx.Response(200, content=page)


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Publisher:
    publisher = Publisher({})
    client = httpx.Client(transport=httpx.MockTransport(publisher), follow_redirects=True)
    monkeypatch.setattr("httpx.get", lambda url, **_: client.get(url))
    monkeypatch.setattr("httpx.stream", lambda method, url, **_: client.stream(method, url))
    return publisher


def test_download_is_kept_when_the_published_checksum_matches(publish: Publisher, tmp_path: Path) -> None:
    url = KUBERNETES.url("kubectl")
    publish.pages = {url: PROGRAM, f"{url}.sha256": hashlib.sha256(PROGRAM).hexdigest().encode()}
    downloads.fetch_program(KUBERNETES, "kubectl", tmp_path / "kubectl")
    assert (tmp_path / "kubectl").read_bytes() == PROGRAM
    assert (tmp_path / "kubectl").stat().st_mode & 0o111
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["kubectl"]


@pytest.mark.parametrize("checksum", [b"0" * 64, b"", None])
def test_download_is_refused_when_its_checksum_differs_or_is_missing(
    publish: Publisher, tmp_path: Path, checksum: bytes | None
) -> None:
    url = KUBERNETES.url("kubectl")
    publish.pages = {url: PROGRAM} | ({f"{url}.sha256": checksum} if checksum is not None else {})
    with pytest.raises(ProgramUnavailable):
        downloads.fetch_program(KUBERNETES, "kubectl", tmp_path / "kubectl")
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_program_is_taken_out_of_its_archive(publish: Publisher, tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        entry = tarfile.TarInfo(HELM.member_path("helm"))
        entry.size = len(PROGRAM)
        tar.addfile(entry, io.BytesIO(PROGRAM))
    url = HELM.url("helm")
    digest = hashlib.sha256(archive.getvalue()).hexdigest()
    publish.pages = {url: archive.getvalue(), f"{url}.sha256": f"{digest}  helm.tar.gz".encode()}
    downloads.fetch_program(HELM, "helm", tmp_path / "helm")
    assert (tmp_path / "helm").read_bytes() == PROGRAM


def test_github_download_is_checked_against_the_listing_of_the_release(publish: Publisher, tmp_path: Path) -> None:
    url = KWOK.url("kwok")
    listing = "https://api.github.com/repos/kubernetes-sigs/kwok/releases/tags/v0.7.0"
    digest = hashlib.sha256(PROGRAM).hexdigest()
    name = url.rpartition("/")[2]
    publish.pages = {
        url: PROGRAM,
        listing: f'{{"assets": [{{"name": "{name}", "digest": "sha256:{digest}"}}]}}'.encode(),
    }
    downloads.fetch_program(KWOK, "kwok", tmp_path / "kwok")
    assert (tmp_path / "kwok").read_bytes() == PROGRAM
    publish.pages[listing] = f'{{"assets": [{{"name": "{name}", "digest": null}}]}}'.encode()
    with pytest.raises(ProgramUnavailable, match="publishes no sha256"):
        downloads.fetch_program(KWOK, "kwok", tmp_path / "other")


def test_host_without_an_answer_is_known_within_the_timeout() -> None:
    assert not downloads.is_reachable("https://nowhere.invalid/file", timeout_seconds=1.0)
