"""Builds images with buildah, without a daemon, in a store of its own in the cache, and hands them to containerd."""

import configparser
import io
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_cluster.commands import try_run
from local_cluster.errors import ImageNotBuilt
from local_cluster.processes import all_processes, log_tail
from local_cluster.state import cache_folder, write_whole

CERTIFICATES = Path("/etc/ssl/certs")
PIP_FILE = Path("/etc/pip.conf")


@dataclass(frozen=True)
class Build:
    """One image to build: its Dockerfile, the folder that COPY reads from, its reference and build arguments."""

    dockerfile: Path
    context: Path
    reference: str
    arguments: dict[str, str] = field(default_factory=dict)


def buildah(*arguments: str | Path) -> list[str | Path]:
    """A buildah command line on the project's own store; overlay where the kernel has it, else plain copies."""
    run_folder = cache_folder() / "images" / "run"
    driver = "overlay" if "overlay" in Path("/proc/filesystems").read_text() else "vfs"
    places: list[str | Path] = ["--root", _store(), "--runroot", run_folder, "--storage-driver", driver]
    return ["buildah", *places, *arguments]


def _store() -> Path:
    return cache_folder() / "images" / "store"


def has_image(reference: str) -> bool:
    """Whether the store has an image."""
    return try_run(buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}", reference)) is not None


def list_images(repository: str) -> list[str]:
    """References of a repository's images in the store, newest first."""
    printed = try_run(buildah("images", "--format", "{{.Name}}:{{.Tag}}", "--filter", f"reference={repository}")) or ""
    return [line for line in printed.splitlines() if line.startswith(f"{repository}:")]


def remove_image(reference: str) -> None:
    """Forget an image of the store; layers that others use stay."""
    try_run(buildah("rmi", reference))


def lock_path() -> Path:
    """The file whose lock a run holds while it builds or loads images: one at a time, or two would build the same."""
    return cache_folder() / "images" / "lock"


def build_image(build: Build, log: Path) -> None:
    """Build an image into the store, with the lock held; ImageNotBuilt with the end of the log when that fails."""
    if not build.dockerfile.is_file():
        raise ImageNotBuilt(f"{build.reference}: there is no {build.dockerfile}")
    _remove_abandoned_builds()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, tempfile.TemporaryDirectory(dir=_temporary_folder()) as folder:
        result = subprocess.run(
            [str(word) for word in build_command(build, registry_mounts(Path(folder)))],
            env=build_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
    if result.returncode != 0:
        raise ImageNotBuilt(f"{build.reference}: buildah failed; the end of {log}:\n{log_tail(log, 25)}")


def _remove_abandoned_builds() -> None:
    """Remove what builds that were killed left mounted, unless one still goes on whose starter was killed."""
    store = str(_store())
    if not any(process.program == "buildah" and store in process.arguments for process in all_processes()):
        try_run(buildah("rm", "--all"))


def build_command(build: Build, mounts: Mapping[Path, Path]) -> list[str | Path]:
    """buildah's command line for a build; `mounts` are read-only and for the build alone: source to target."""
    words: list[str | Path] = [
        "--isolation",
        "chroot",
        "--network",
        "host",
        "--layers",
        "--pull=false",
        "--format",
        "oci",
    ]
    for source, target in mounts.items():
        words += ["--volume", f"{source}:{target}:ro"]
    for key, value in sorted(build.arguments.items()):
        words += ["--build-arg", f"{key}={value}"]
    return [*buildah("bud"), *words, "--tag", build.reference, "--file", build.dockerfile, build.context]


def registry_mounts(folder: Path) -> dict[Path, Path]:
    """How this machine reaches the package registries: its certificates, pip's settings (written into the folder), wheels."""
    mounts = {CERTIFICATES: CERTIFICATES} if CERTIFICATES.is_dir() else {}
    settings = merge_pip_settings(PIP_FILE.read_text() if PIP_FILE.exists() else "", os.environ)
    if settings:
        merged = folder / "pip.conf"
        write_whole(merged, settings, mode=0o644)
        mounts[merged] = PIP_FILE
    for word in os.environ.get("PIP_FIND_LINKS", "").split():
        if word.startswith("/") and Path(word).is_dir():
            mounts[Path(word)] = Path(word)
    return mounts


def merge_pip_settings(text: str, environment: Mapping[str, str]) -> str:
    """pip's settings of this machine as one file: those of its file, overridden by PIP_* variables; empty without any."""
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    for name, value in environment.items():
        if name.startswith("PIP_") and name not in ("PIP_CONFIG_FILE", "PIP_CACHE_DIR"):
            if not parser.has_section("global"):
                parser.add_section("global")
            parser.set("global", name.removeprefix("PIP_").lower().replace("_", "-"), value)
    result = io.StringIO()
    parser.write(result)
    return result.getvalue()


def build_environment() -> dict[str, str]:
    """The environment of buildah itself."""
    return {**os.environ, "TMPDIR": str(_temporary_folder())}


def _temporary_folder() -> Path:
    folder = cache_folder() / "images" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # pip's settings may hold a password.
    return folder
