"""Gets the programs of a cluster: kept by version in the cache, else downloaded, else built from the Go modules."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from local_cluster.commands import try_run
from local_cluster.downloads import fetch_program, is_reachable
from local_cluster.errors import ProgramUnavailable
from local_cluster.locks import lock
from local_cluster.releases import Release, find_release

MINIMUM_GO = (1, 26)
Progress = Callable[[str], None]


def program_path(name: str) -> Path:
    """Path of a program that is in the cache already; ProgramUnavailable when it is not."""
    path = find_release(name).path(name)
    if not os.access(path, os.X_OK):
        raise ProgramUnavailable(f"{name} is not at {path}; `python -m local_cluster program {name}` gets it")
    return path


def missing_programs(names: Iterable[str]) -> list[str]:
    """Those of the programs that are not in the cache."""
    return [name for name in names if not os.access(find_release(name).path(name), os.X_OK)]


def go_version() -> tuple[int, int] | None:
    """Major and minor version of the Go compiler on the path; None without one."""
    found = re.search(r"go(\d+)\.(\d+)", try_run(["go", "env", "GOVERSION"], timeout_seconds=30) or "")
    return (int(found[1]), int(found[2])) if found else None


def program_problems(names: Iterable[str]) -> list[str]:
    """What stands in the way of getting the missing programs, in sentences; empty when nothing does."""
    missing = missing_programs(names)
    unreachable = [name for name in missing if not _is_published_reachably(find_release(name))]
    version = go_version() if unreachable else None
    if not unreachable or (version and version >= MINIMUM_GO):
        return []
    has = f"Go {version[0]}.{version[1]} is here" if version else "there is no Go here"
    return [
        f"{', '.join(unreachable)} cannot be downloaded (not published, or no way to the publisher) and must be built with Go "
        f"{MINIMUM_GO[0]}.{MINIMUM_GO[1]} or newer, but {has}: install it from https://go.dev/dl"
    ]


def get_programs(names: Iterable[str], progress: Progress) -> None:
    """Make the programs available in the cache; ProgramUnavailable when they can be neither downloaded nor built."""
    for release in dict.fromkeys(find_release(name).project for name in missing_programs(names)):
        wanted = [name for name in names if find_release(name).project == release]
        _get_release(find_release(wanted[0]), wanted, progress)


_reachable_hosts: dict[str, bool] = {}


def _is_published_reachably(release: Release) -> bool:
    if not release.download:
        return False
    host = release.download.split("/")[2]
    if host not in _reachable_hosts:
        _reachable_hosts[host] = is_reachable(release.download)
    return _reachable_hosts[host]


def _get_release(release: Release, names: list[str], progress: Progress) -> None:
    release.folder.mkdir(parents=True, exist_ok=True)
    with lock(release.folder.with_name(release.folder.name + ".lock"), progress):
        missing = missing_programs(names)
        if missing and _is_published_reachably(release):
            missing = _download(release, missing, progress)
        if missing:
            _build(release, progress)


def _download(release: Release, names: list[str], progress: Progress) -> list[str]:
    """Download what is published with a checksum; returns the names that must be built instead."""
    for index, name in enumerate(names):
        progress(f"downloading {name} {release.version}")
        try:
            fetch_program(release, name, release.path(name))
        except ProgramUnavailable as error:
            progress(f"{error}; building {release.project} instead")
            return names[index:]
    return []


def _build(release: Release, progress: Progress) -> None:
    """Build all programs of a release in a folder of its own; they appear in the cache only when complete."""
    for abandoned in release.folder.parent.glob(f".{release.project}-*"):
        shutil.rmtree(abandoned, ignore_errors=True)  # By a run that was killed: this one holds the lock.
    with tempfile.TemporaryDirectory(prefix=f".{release.project}-", dir=release.folder.parent) as part:
        # One package is named as we call it; several are named by Go after their folders.
        only = next(iter(release.packages)) if len(release.packages) == 1 else ""
        _run_go_build(release, f"{part}/{only}", progress)
        for name, package in release.packages.items():
            shutil.move(Path(part) / (only or package.rpartition("/")[2]), release.path(name))


def _run_go_build(release: Release, output: str, progress: Progress) -> None:
    command = ["go", "build", "-v", "-trimpath", "-tags", release.tags, "-ldflags", release.linker_flags, "-o", output]
    try:
        process = subprocess.Popen(
            [*command, *release.packages.values()],
            cwd=release.module_folder,
            env={**os.environ, "CGO_ENABLED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError as error:
        raise ProgramUnavailable(f"{release.project} must be built, and there is no Go compiler") from error
    lines: list[str] = []
    with process:
        for line in process.stderr or ():
            lines.append(line)
            progress(f"building {release.project} {release.version}: {len(lines)} packages, {line.strip()}")
    if process.returncode != 0:
        raise ProgramUnavailable(f"building {release.project} failed:\n{''.join(lines[-12:])}")
