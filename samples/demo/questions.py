"""Asks a served FAQ through its Service, and shows the FAQs that match."""

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import httpx
from rich.console import Console
from rich.table import Table

from samples.demo.clusters import Cluster, DemoError

QUESTIONS = (
    "how can i get rid of one element of an array",
    "My function returns undefined although the request inside it worked and I can log the data there. How do I hand the data back?",
    "querySelector gives null in my script but the element is there when I look at the page",
)
START_SECONDS = 20.0


@contextmanager
def forward_service(cluster: Cluster, namespace: str, service: str) -> Iterator[str]:
    """Yield an address of this machine behind which the Service answers, for as long as the context lasts."""
    port = find_free_port()
    arguments = ["port-forward", "--namespace", namespace, f"service/{service}", f"{port}:80"]
    command = cluster.build_command(cluster.kubectl_program, arguments)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for_port(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for_port(process: subprocess.Popen[str], port: int) -> None:
    """Wait until the forwarding listens; raises DemoError with kubectl's words when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    process.terminate()
    raise DemoError(f"kubectl port-forward does not work: {process.communicate()[1].strip()}")


def find_free_port() -> int:
    """Return a TCP port of the loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def ask(address: str, question: str) -> list[Sequence[object]]:
    """Return the matches of a question, best first: each original's id, answer id and probability."""
    response = httpx.post(f"{address}/score", json={"input": question}, timeout=30)
    response.raise_for_status()
    matches: list[Sequence[object]] = response.json()["result"][0]
    return matches


def show_matches(
    console: Console, question: str, matches: Sequence[Sequence[object]], answers: Mapping[str, Mapping[str, str]]
) -> None:
    """Print the FAQs that match a question, with their scores."""
    table = Table(title=f"“{question}”", title_justify="left", title_style="bold")
    table.add_column("score", justify="right")
    table.add_column("FAQ")
    for _, answer_id, score in matches:
        table.add_row(f"{score:.3f}", answers[str(answer_id)]["title"])
    console.print(table)
