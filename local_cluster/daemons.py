"""Programs that are kept running beside the control plane: started where they do not run, and waited for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_cluster.processes import find_processes, start_process, wait_until
from local_cluster.state import Cluster
from local_cluster.steps import step

START_SECONDS = 60


@dataclass(frozen=True)
class Daemon:
    """One program: its command line, where its output goes, and how to see that it works."""

    title: str
    arguments: list[str | Path]
    log: Path
    is_healthy: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def program(self) -> str:
        """File name of the program, without its folder."""
        return Path(self.arguments[0]).name


def ensure_running(cluster: Cluster, daemon: Daemon) -> None:
    """Start the program unless the cluster has it already; NotHealthy when it does not answer within a minute."""
    with step(daemon.title) as report:
        if find_processes(cluster, [daemon.program]):
            report("runs already")
        else:
            start_process(daemon.arguments, daemon.log, daemon.environment)
        wait_until(daemon.is_healthy, f"{daemon.title} answers", START_SECONDS, daemon.log)
