"""The parts of our dashboards: panels over Prometheus with one look, in a grid of 24 columns. Thin over Grafana's own builders."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATA_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
COLUMNS = 24
STAT_ROWS = 4
GRAPH_ROWS = 8
STACKED_OPACITY = 30
LINE_OPACITY = 8


def start_dashboard(uid: str, title: str, description: str) -> dashboard.Dashboard:
    """Return an empty dashboard with the choice of its Prometheus."""
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["scoring"])
        .refresh("30s")
        .time("now-1h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Scoring")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["scoring"])
            .as_dropdown(False)
            .include_vars(True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )


def choose_label(name: str, label: str, series: str) -> dashboard.QueryVariable:
    """Return a variable whose choices are the values of a label of some series."""
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(DATA_SOURCE)
        .query(f"label_values({series}, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def show_number(title: str, expression: str, unit: str, warning: float | None = None) -> stat.Panel:
    """Return a number with its recent course; red from `warning` on. Four stand side by side."""
    panel = (
        stat.Panel()
        .title(title)
        .datasource(DATA_SOURCE)
        .unit(unit)
        .graph_mode(BigValueGraphMode.AREA)
        .color_mode(BigValueColorMode.VALUE)
        .no_value("–")
        .height(STAT_ROWS)
        .span(COLUMNS // 6)
        .with_target(ask(expression))
    )
    steps = [Threshold(value=None, color="green")]
    if warning is not None:
        steps.append(Threshold(value=warning, color="red"))
    return panel.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))


def draw(
    title: str, unit: str, series: Mapping[str, str], *, stacked: bool = False, description: str = ""
) -> timeseries.Panel:
    """Return a graph of expressions by their legends; two stand side by side, or three when their titles say so."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATA_SOURCE)
        .unit(unit)
        .min(0)
        .fill_opacity(STACKED_OPACITY if stacked else LINE_OPACITY)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .height(GRAPH_ROWS)
        .span(COLUMNS // 3)
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    for legend, expression in series.items():
        panel = panel.with_target(ask(expression, legend))
    return panel


def list_series(title: str, expression: str, labels: tuple[str, ...], description: str = "") -> table.Panel:
    """Return a table of the series that there are now, by some of their labels; as wide as the dashboard."""
    shown = {
        "indexByName": {label: place for place, label in enumerate(labels)},
        "includeByName": dict.fromkeys(labels, True),
    }
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATA_SOURCE)
        .no_value("none")
        .height(GRAPH_ROWS)
        .span(COLUMNS)
        .with_target(ask(expression).instant().format(PromQueryFormat.TABLE))
        .with_transformation(DataTransformerConfig(id_val="organize", options=shown))
    )


def ask(expression: str, legend: str = "") -> prometheus.Dataquery:
    """Return a query."""
    query = prometheus.Dataquery().datasource(DATA_SOURCE).expr(expression)
    return query.legend_format(legend) if legend else query
