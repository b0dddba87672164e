"""A real Prometheus as a process of this machine, which scrapes every second what a test names and goes by our rules."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from free_ports import find_free_port
from local_clusters import ROOT, run_local_cluster
from runtime_processes import Runtime
from waiting import wait_for

RULES = ROOT / "charts" / "scoring-operator" / "rules" / "scoring.yaml"
FAST = "1s"
ALERT_SECONDS = 120.0

Promtool = Callable[..., subprocess.CompletedProcess[str]]
Serve = Callable[..., Runtime]
"""Serves a small model of this name as a process that is scraped; settings as keywords."""


class Prometheus:
    """One server. Its API's answers, as far as tests ask for them."""

    def __init__(self, folder: Path, rules: str) -> None:
        """Take a folder of its own, and the text of its rules file."""
        self.address = f"127.0.0.1:{find_free_port()}"
        self._folder = folder
        self._targets = folder / "targets"
        self._targets.mkdir(parents=True)
        (folder / "rules.yaml").write_text(rules)
        files = {
            "job_name": "tests",
            "file_sd_configs": [{"files": [f"{self._targets}/*.json"], "refresh_interval": FAST}],
        }
        configuration = {
            "global": {"scrape_interval": FAST, "scrape_timeout": FAST, "evaluation_interval": FAST},
            "rule_files": [f"{folder}/rules.yaml"],
            "scrape_configs": [files],
        }
        (folder / "prometheus.json").write_text(json.dumps(configuration))

    @contextmanager
    def run(self) -> Iterator[None]:
        """Run it, ready to be asked."""
        command = [run_local_cluster("program", "prometheus"), f"--config.file={self._folder}/prometheus.json"]
        command += [f"--storage.tsdb.path={self._folder}/data", f"--web.listen-address={self.address}"]
        with (self._folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(self._is_ready, f"Prometheus; its log is {self._folder}/prometheus.log")
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)

    @contextmanager
    def scrape(self, port: int, **labels: str) -> Iterator[None]:
        """Scrape /metrics at a port of this machine, and put these labels on its series, until the end of the block."""
        file = self._targets / f"{port}.json"
        # In one piece: Prometheus may look at any moment.
        written = file.with_suffix(".new")
        written.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": labels}]))
        written.rename(file)
        try:
            yield
        finally:
            file.unlink()

    def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each sample that a query finds now."""
        found = self._get("query", query=query)["result"]
        return [(sample["metric"], float(sample["value"][1])) for sample in found]

    def find_alerts(self, name: str, **labels: str) -> list[dict[str, Any]]:
        """Return the alerts of a name that fire now and have these labels."""
        alerts = self._get("alerts")["alerts"]
        wanted = {"alertname": name, **labels}.items()
        return [alert for alert in alerts if alert["state"] == "firing" and wanted <= alert["labels"].items()]

    def wait_for_alert(self, name: str, /, **labels: str) -> dict[str, Any]:
        """Wait until an alert fires with these labels; return it. Some are told only when something has been so for a minute."""
        return wait_for(lambda: self.find_alerts(name, **labels), f"alert {name} {labels}", ALERT_SECONDS)[0]

    def wait_for_silence(self, name: str, **labels: str) -> None:
        """Wait until no such alert fires."""
        wait_for(lambda: not self.find_alerts(name, **labels), f"the end of alert {name} {labels}")

    def _get(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"http://{self.address}/api/v1/{path}", params=parameters)
        if answer.is_client_error:
            raise ValueError(answer.text)
        return answer.raise_for_status().json()["data"]

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"http://{self.address}/-/ready").is_success
        except httpx.TransportError:
            return False


def shorten_times(rules: str) -> str:
    """Return the rules with every time that an alert waits, or that is too long, cut from minutes to two seconds; nothing else changed."""
    return re.sub(r"(?m)^( +for: )\d+m$", r"\g<1>2s", rules).replace("> 120", "> 2")


def read_metrics(port: int, headers: Mapping[str, str] | None = None) -> str:
    """Return what /metrics answers at a port of this machine."""
    return httpx.get(f"http://127.0.0.1:{port}/metrics", headers=headers).raise_for_status().text
