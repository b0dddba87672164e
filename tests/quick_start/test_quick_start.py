"""docs/quick-start.md, as a reader would type it: in one shell, on a machine with root, from `make demo` to `make cluster-down`.

`make quick-start` runs it. It takes down the cluster `scoring`, so it must not run beside the tests of tests/e2e.
"""

import os
import re
import signal
import subprocess

import pytest

from local_clusters import ROOT

PAGE = ROOT / "docs" / "quick-start.md"
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
TIMEOUT_SECONDS = 3600.0

EXPECTED = [
    "two replicas ready",
    "deployment.apps/faq",
    '"result"',
    "sha256:",
    "HardwareClassNotFound",
    "HardwareClass tpu does not exist",
    "refused, as it should be",
    'scoringmodel.scoring.dev "faq" deleted',
]
"""What a reader sees on the way, in this order."""


@pytest.fixture(scope="module")
def transcript() -> str:
    """Run all blocks in one shell that stops at the first command that fails; return what it prints."""
    script = "\n".join(["set -e -o pipefail", *SHELL_BLOCK.findall(PAGE.read_text())])
    shell = subprocess.Popen(
        ["bash", "-c", script],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
        start_new_session=True,
    )
    try:
        output, _ = shell.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGTERM)
    assert shell.returncode == 0, output
    return output


@pytest.mark.timeout(TIMEOUT_SECONDS)
def test_reader_of_the_quick_start_sees_what_it_tells(transcript: str) -> None:
    position = 0
    for text in EXPECTED:
        found = transcript.find(text, position)
        assert found >= 0, f"{text!r} is not shown after what comes before it:\n{transcript}"
        position = found
