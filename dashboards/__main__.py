"""`python -m dashboards`: write the dashboards as JSON into the chart."""

from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.fleet import build_fleet_dashboard
from dashboards.model import build_model_dashboard

FOLDER = Path(__file__).parents[1] / "charts" / "scoring-operator" / "dashboards"


def write_json(board: dashboard.Dashboard) -> str:
    """Return a dashboard as Grafana imports it."""
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def write_all() -> dict[str, str]:
    """Return the text of each file by its name."""
    boards = {"fleet": build_fleet_dashboard(), "model": build_model_dashboard()}
    return {f"{name}.json": write_json(board) for name, board in boards.items()}


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in write_all().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
