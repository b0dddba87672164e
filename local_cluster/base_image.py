"""The image that the others start from: the official Python one where it can be pulled, else a Debian made here."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from local_cluster.builder import Build, build_image, buildah, has_image
from local_cluster.commands import run
from local_cluster.downloads import is_reachable
from local_cluster.state import cache_folder

OFFICIAL = "docker.io/library/python:3.11-slim"
REGISTRY = "https://registry-1.docker.io/"
SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates", "libgomp1", "tzdata")
ARCHIVE = "http://deb.debian.org/debian"
SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
UNNEEDED = ("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale")

DOCKERFILE = """FROM scratch
ADD root.tar /
RUN ln -s /usr/bin/python3 /usr/local/bin/python
ENV LANG=C.UTF-8
CMD ["python3"]
"""


def base_reference() -> str:
    """Reference of the base image that this machine uses."""
    if is_reachable(REGISTRY):
        return OFFICIAL
    inputs = "\n".join((SUITE, *PACKAGES, *UNNEEDED, DOCKERFILE))
    return f"localhost/scoring-base:{SUITE}-{hashlib.sha256(inputs.encode()).hexdigest()[:12]}"


def ensure_base(report: Callable[[str], None]) -> str:
    """Make the base image (root) or pull it if the store lacks it, and return its reference."""
    reference = base_reference()
    if not has_image(reference):
        report("making the base image, about a minute")
        if reference == OFFICIAL:
            run(buildah("pull", reference), timeout_seconds=900)
        else:
            _make_base(reference)
    return reference


def _make_base(reference: str) -> None:
    with tempfile.TemporaryDirectory(prefix="base-", dir=cache_folder() / "images") as folder:
        root, context = Path(folder) / "root", Path(folder) / "context"
        context.mkdir()
        included = ",".join(PACKAGES)
        archive = find_archive([path.read_text() for path in SOURCES if path.exists()])
        run(["debootstrap", "--variant=minbase", f"--include={included}", SUITE, root, archive], timeout_seconds=900)
        _clean(root)
        run(["tar", "--create", "--file", context / "root.tar", "--directory", root, "--exclude=./dev/*", "."])
        (context / "Dockerfile").write_text(DOCKERFILE)
        build_image(Build(context / "Dockerfile", context, reference), cache_folder() / "images" / "base.log")


def find_archive(sources: list[str]) -> str:
    """The address of Debian's archive that this machine itself uses; the public one when none is found."""
    for text in sources:
        found = re.search(r"^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(https?://\S+/debian/?)(?:\s|$)", text, re.MULTILINE)
        if found:
            return found[1]
    return ARCHIVE


def _clean(root: Path) -> None:
    """Remove what an image does not need, and every trace of the archive that this machine uses."""
    for name in UNNEEDED:
        shutil.rmtree(root / name, ignore_errors=True)
    for name in ("var/cache/apt", "var/lib/apt/lists", "var/log"):
        (root / name).mkdir(parents=True)
    (root / "etc/apt/sources.list").write_text(f"deb {ARCHIVE} {SUITE} main\n")
    for name in ("etc/resolv.conf", "etc/hostname"):
        (root / name).unlink(missing_ok=True)
        (root / name).touch()
