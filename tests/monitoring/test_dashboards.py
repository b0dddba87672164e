"""Each query of each dashboard finds data in a real Prometheus that scrapes real models and a real operator."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dashboards.__main__ import write_all
from prometheus_servers import Prometheus, Serve
from scoring_models import ScoringModels
from scoring_runtime.access.keys import hash_key
from traffic import GOOD, keep_asking
from waiting import wait_for

RANGES = {"$__rate_interval": "1m", "$namespace": "team", "$model": "shown"}
KEY = "a-key-of-this-test-alone"


def list_queries() -> Iterator[tuple[str, str]]:
    """Yield dashboard, title and legend as one name, and the query with values in its variables' places."""
    for board, text in write_all().items():
        for panel in json.loads(text)["panels"]:
            for target in panel.get("targets", []):
                query = target["expr"]
                for variable, value in RANGES.items():
                    query = query.replace(variable, value)
                yield f"{board} {panel['title']} {target.get('legendFormat', '')}".strip(), query


def list_variables() -> list[str]:
    """Return the series that variables are chosen from."""
    boards: list[dict[str, Any]] = [json.loads(text) for text in write_all().values()]
    queries = [str(one["query"]) for board in boards for one in board["templating"]["list"] if one["type"] == "query"]
    return [re.sub(r"label_values\((.*), \w+\)", r"\1", query).replace("$namespace", "team") for query in queries]


def test_every_query_finds_data(serve: Serve, prometheus: Prometheus, models: ScoringModels, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "shop").write_text(hash_key(KEY))
    models.apply("working")
    models.apply("stalled", hardwareClass="tpu")
    runtime = serve("shown", latency_objective_seconds="0.5", api_keys_dir=str(keys))
    runtime.client.headers["X-API-Key"] = KEY
    missing = dict(list_queries())

    def look() -> bool:
        for name, query in list(missing.items()):
            if any(not math.isnan(value) for _, value in prometheus.ask(query)):
                del missing[name]
        return not missing

    with keep_asking(runtime, GOOD, clients=2):
        try:
            wait_for(look, "data for each query")
        finally:
            assert missing == {}
        assert all(prometheus.ask(series) for series in list_variables())
