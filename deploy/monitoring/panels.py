"""Build Grafana's JSON of a dashboard from a short list of its panels, by Grafana's Foundation SDK."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphDrawStyle, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DataSourceRef

RATE: Final = "$__rate_interval"
"""The window of a rate that always holds several scrapes; Grafana computes it."""
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
PER_ROW: Final = 3
COLUMNS: Final = 24


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: the question it answers is its description. Each query is an expression and the legend of its series."""

    title: str
    unit: str
    """Grafana's name of the unit, such as `s`, `percentunit` or `short`."""
    description: str
    queries: tuple[tuple[str, str], ...]
    kind: Literal["graph", "stat", "states"] = "graph"


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard."""

    name: str
    """The end of its fixed uid, and the name of its file."""
    title: str
    description: str
    panels: Sequence[Panel]

    @property
    def uid(self) -> str:
        """The uid, the same in every Grafana, so that links last."""
        return f"onramp-{self.name}"


def quantiles(histogram: str) -> tuple[tuple[str, str], ...]:
    """Return the queries of a histogram's median, 95th and 99th percentile, with their legends."""
    return tuple(
        (f"histogram_quantile({q}, sum by (le) (rate({histogram}_bucket[{RATE}])))", name)
        for q, name in (("0.5", "median"), ("0.95", "p95"), ("0.99", "p99"))
    )


def board_json(board: Board) -> str:
    """Return the dashboard as Grafana imports it."""
    source = dashboard.DatasourceVariable("datasource").type("prometheus").label("Data source")
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["onramp"])
        .editable()
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .with_variable(source)
        .link(dashboard.DashboardLink("Onramp").type(DashboardLinkType.DASHBOARDS).tags(["onramp"]).as_dropdown(True))
    )
    for panel in board.panels:
        built = built.with_panel(_built(panel))
    text = JSONEncoder(sort_keys=True, indent=1).encode(built.build())
    document: dict[str, Any] = json.loads(text)
    document["id"] = None  # a number here would overwrite whatever dashboard has it
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _built(panel: Panel) -> Any:
    makers: dict[str, Any] = {"graph": _graph, "stat": stat.Panel, "states": statetimeline.Panel}
    made = makers[panel.kind]().title(panel.title).unit(panel.unit).description(panel.description)
    made = made.datasource(SOURCE).span(COLUMNS // PER_ROW).height(7 if panel.kind == "graph" else 5)
    for number, (expr, legend) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(chr(ord("A") + number))
        made = made.with_target(query.datasource(SOURCE))
    return made


def _graph() -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    legend = legend.show_legend(True)
    return timeseries.Panel().draw_style(GraphDrawStyle.LINE).fill_opacity(8).line_width(1).min(0).legend(legend)
