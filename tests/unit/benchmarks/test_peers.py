"""The table of peers fits the folders beside it, and their locks are pinned without addresses."""

import re
from pathlib import Path

import pytest

from benchmarks.serving.environments import PEERS, read_pins
from benchmarks.serving.peers import ALL, Peer, find_peers

LOCKS = sorted(PEERS.parent.rglob("requirements.txt"))


@pytest.mark.parametrize("peer", ALL, ids=lambda peer: peer.name)
def test_peer_has_its_package_in_its_lock(peer: Peer) -> None:
    assert peer.package in read_pins(peer.lock)


@pytest.mark.parametrize("peer", ALL, ids=lambda peer: peer.name)
def test_peer_has_both_models(peer: Peer) -> None:
    assert len([*(PEERS / peer.folder).rglob("trivial.py"), *(PEERS / peer.folder).rglob("resnet.py")]) == 2


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.parent.name)
def test_lock_holds_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert not re.search(r"://|^-|--(index|extra-index|find-links|trusted-host)", text, re.MULTILINE)
    assert all("--hash=sha256:" in each for each in text.replace("\\\n", " ").splitlines() if each.strip())


def test_peers_are_found_by_name() -> None:
    assert [peer.name for peer in find_peers(["ray", "flask"])] == ["ray", "flask"]


def test_all_peers_are_found_without_names() -> None:
    assert find_peers([]) == list(ALL)
