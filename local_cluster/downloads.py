"""Downloads published programs and verifies them against the published checksum."""

import hashlib
import tarfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from local_cluster.errors import ProgramUnavailable
from local_cluster.releases import Release

PROBE_SECONDS = 3.0


def is_reachable(url: str, timeout_seconds: float = PROBE_SECONDS) -> bool:
    """Whether the host of an address answers at all, found out within the timeout, name resolution included."""
    answered = threading.Event()
    parts = urlsplit(url)

    def probe() -> None:
        try:
            httpx.head(f"{parts.scheme}://{parts.netloc}/", timeout=timeout_seconds)
        except (httpx.HTTPError, OSError):
            return
        answered.set()

    # A thread, since resolving a name has no timeout of its own; it must not keep this program from ending.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    return answered.is_set()


def answers_ok(url: str) -> bool:
    """Whether an address of this machine answers with 200 within a second."""
    try:
        return httpx.get(url, timeout=1, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def fetch_program(release: Release, name: str, target: Path) -> None:
    """Download one program into the target path; ProgramUnavailable when that fails or the checksum differs."""
    archive = target.with_name(target.name + ".download")
    program = target.with_name(target.name + ".part")
    try:
        expected = _fetch_checksum(release, name)
        found = _fetch(release.url(name), archive)
        if found != expected:
            raise ProgramUnavailable(f"{release.url(name)}: sha256 {found}, published is {expected}")
        if release.member:
            _unpack_member(archive, release.member_path(name), program)
        else:
            archive.replace(program)
        program.chmod(0o755)
        program.replace(target)
    except (httpx.HTTPError, OSError, tarfile.TarError, KeyError) as error:
        raise ProgramUnavailable(f"{release.url(name)}: {error}") from error
    finally:
        archive.unlink(missing_ok=True)
        program.unlink(missing_ok=True)


def _fetch(url: str, target: Path) -> str:
    digest = hashlib.sha256()
    with httpx.stream("GET", url, follow_redirects=True, timeout=60) as response, target.open("wb") as file:
        response.raise_for_status()
        for block in response.iter_bytes():
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _fetch_checksum(release: Release, name: str) -> str:
    url = release.url(name)
    if urlsplit(url).netloc == "github.com":
        return _fetch_github_checksum(url)
    answer = httpx.get(f"{url}.sha256", follow_redirects=True, timeout=30).raise_for_status()
    words = answer.text.split()
    if not words:
        raise ProgramUnavailable(f"{url}.sha256 is empty")
    return words[0]


def _fetch_github_checksum(url: str) -> str:
    _, owner, repository, _, _, tag, asset = urlsplit(url).path.split("/")
    listing = f"https://api.github.com/repos/{owner}/{repository}/releases/tags/{tag}"
    answer = httpx.get(listing, follow_redirects=True, timeout=30).raise_for_status().json()
    for entry in answer["assets"]:
        if entry["name"] == asset and str(entry.get("digest") or "").startswith("sha256:"):
            return str(entry["digest"]).removeprefix("sha256:")
    raise ProgramUnavailable(f"{listing} publishes no sha256 of {asset}")


def _unpack_member(archive: Path, member: str, target: Path) -> None:
    with tarfile.open(archive) as tar:
        source = tar.extractfile(member)
        if source is None:
            raise ProgramUnavailable(f"{archive.name} has no file {member}")
        with source, target.open("wb") as file:
            while block := source.read(1 << 20):
                file.write(block)
