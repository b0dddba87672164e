"""The dashboards that are checked in are those of the code, and the chart hands them to Grafana."""

import json

import pytest

from dashboards.__main__ import FOLDER, write_all
from helm_chart import Manifest, Render

FILES = write_all()


@pytest.mark.parametrize("name", FILES)
def test_dashboard_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / name).read_text() == FILES[name], "run `make dashboards`"


def test_there_are_no_other_dashboards() -> None:
    assert {path.name for path in FOLDER.iterdir()} == FILES.keys()


@pytest.mark.parametrize("name", FILES)
def test_dashboard_asks_the_prometheus_that_is_chosen(name: str) -> None:
    board = json.loads(FILES[name])
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len(panels) > 10
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert all(panel["title"] and panel["targets"] for panel in panels)


def test_chart_makes_a_config_map_of_each_only_where_wished(render: Render, manifests: list[Manifest]) -> None:
    assert not [body for body in manifests if body["kind"] == "ConfigMap"]
    made = render("--set", "dashboards.enabled=true,dashboards.folder=Scoring")
    maps = [body for body in made if body["kind"] == "ConfigMap"]
    assert {name: text for body in maps for name, text in body["data"].items()} == FILES
    assert {body["metadata"]["labels"]["grafana_dashboard"] for body in maps} == {"1"}
    assert {body["metadata"]["annotations"]["grafana_folder"] for body in maps} == {"Scoring"}
