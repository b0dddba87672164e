"""The API server by plain HTTP, for what kubectl would refuse to send, and for a thousand requests without a thousand kubectls."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from kubectl import Kubectl

GROUP_PATH = "/apis/scoring.dev/v1beta1"


@contextmanager
def open_raw_api(kubectl: Kubectl) -> Iterator[httpx.Client]:
    """Yield a client of `kubectl proxy`, with all rights."""
    with subprocess.Popen(kubectl.command("proxy", "--port=0"), stdout=subprocess.PIPE, text=True) as proxy:
        line = proxy.stdout.readline() if proxy.stdout else ""
        found = re.search(r"127\.0\.0\.1:\d+", line)
        try:
            if found is None:
                raise RuntimeError(f"kubectl proxy says: {line}")
            with httpx.Client(base_url=f"http://{found[0]}", timeout=60.0) as client:
                yield client
        finally:
            proxy.terminate()
