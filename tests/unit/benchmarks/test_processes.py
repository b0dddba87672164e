"""A process tree is found, measured and ended as a whole, whatever its members do to hide."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from benchmarks.serving.processes import MARK, ProcessTree
from waiting import wait_for

# A child that leaves the group and outlives its parent in between, as daemons do.
ORPHANING = """
import subprocess, sys
middle = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()'], start_new_session=True, stdin=sys.stdin)"
subprocess.run([sys.executable, "-c", middle])
print("started", flush=True)
input()
"""


@pytest.fixture
def root() -> Iterator[tuple[subprocess.Popen[bytes], ProcessTree]]:
    mark = uuid.uuid4().hex
    with subprocess.Popen(
        [sys.executable, "-c", ORPHANING],
        env={**os.environ, MARK: mark},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        tree = ProcessTree(process.pid, mark)
        yield process, tree
        tree.end(process, seconds=5)


def test_orphan_belongs_to_the_tree(root: tuple[subprocess.Popen[bytes], ProcessTree]) -> None:
    process, tree = root
    members = tree.find_members()
    assert process.pid in members
    assert len(members) == 2


def test_time_and_memory_are_those_of_all_members(root: tuple[subprocess.Popen[bytes], ProcessTree]) -> None:
    _, tree = root
    memory = tree.measure_memory()
    assert tree.count_cpu_seconds() > 0
    assert 0 < memory.pss <= memory.peak_rss


def test_orphan_ends_with_the_tree(root: tuple[subprocess.Popen[bytes], ProcessTree]) -> None:
    process, tree = root
    tree.end(process, seconds=5)
    assert wait_for(lambda: not tree.find_members(), "the tree to end")
