"""Draw the dashboards from a Prometheus, as one SVG file each, for those who change panels and run no Grafana.

`python -m deploy.monitoring.draw http://127.0.0.1:9090 --minutes 10 --into drawn`. A line for each series, each panel with its own scale;
what it cannot show is how Grafana looks.
"""

import argparse
import json
import math
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from deploy.monitoring.boards import BOARDS
from deploy.monitoring.panels import PER_ROW, RATE, Board, Panel

WIDTH, HEIGHT = 420, 220
PLOT_TOP, PLOT_HEIGHT = 40, 120
POINTS: Final = 120
COLORS: Final = ("#3274d9", "#e0752d", "#3f9142", "#c4162a", "#8f3bb8", "#0a9396", "#7a6c5d", "#bb8009")
Query = Callable[[str, float, float, float], Sequence[Any]]
"""Returns the series of an expression between two Unix times, with a step in seconds, as Prometheus's `query_range` does."""


def query_of(url: str) -> Query:
    """Return a query that asks the Prometheus at `url`. It raises OSError if there is no answer."""

    def query(expr: str, start: float, end: float, step: float) -> Sequence[Any]:
        values = urllib.parse.urlencode({"query": expr, "start": start, "end": end, "step": step})
        with urllib.request.urlopen(f"{url}/api/v1/query_range?{values}", timeout=30) as answer:  # noqa: S310 - a developer's own URL
            series: Sequence[Any] = json.load(answer)["data"]["result"]
        return series

    return query


def draw(board: Board, query: Query, start: float, end: float) -> str:
    """Return a dashboard between two Unix times as an SVG document."""
    rows = math.ceil(len(board.panels) / PER_ROW)
    parts = [_panel(panel, index, query, start, end) for index, panel in enumerate(board.panels)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{PER_ROW * WIDTH}" height="{rows * HEIGHT}" '
        f'font-family="sans-serif" font-size="11">\n<title>{escape(board.title)}</title>\n{"".join(parts)}</svg>\n'
    )


def _panel(panel: Panel, index: int, query: Query, start: float, end: float) -> str:
    step = max(1.0, (end - start) / POINTS)
    lines: list[tuple[str, list[tuple[float, float]]]] = []
    for expr, legend in panel.queries:
        window = expr.replace(RATE, f"{math.ceil(4 * step)}s")
        for series in query(window, start, end, step):
            points = [(float(at), float(value)) for at, value in series["values"]]
            lines.append((_named(legend, series["metric"]), [point for point in points if math.isfinite(point[1])]))
    values = [value for _, points in lines for _, value in points]
    low, high = min([0.0, *values]), max([0.0, *values])
    x, y = index % PER_ROW * WIDTH, index // PER_ROW * HEIGHT
    text = f"{low:.4g} to {high:.4g} {panel.unit}" if values else "no data"
    parts = [
        f'<g transform="translate({x},{y})"><rect width="{WIDTH - 8}" height="{HEIGHT - 8}" fill="none" stroke="#ccc"/>',
        f'<text x="8" y="16" font-weight="bold">{escape(panel.title)}</text><text x="8" y="32" fill="#666">{escape(text)}</text>',
    ]
    for number, (name, points) in enumerate(lines):
        color = COLORS[number % len(COLORS)]
        place = " ".join(
            f"{8 + (at - start) / (end - start) * (WIDTH - 24):.1f},"
            f"{PLOT_TOP + PLOT_HEIGHT - (value - low) / ((high - low) or 1) * PLOT_HEIGHT:.1f}"
            for at, value in points
        )
        parts.append(f'<polyline points="{place}" fill="none" stroke="{color}"/>')
        if number < 6:
            left, top = 8 + number % 3 * 134, PLOT_TOP + PLOT_HEIGHT + 18 + number // 3 * 14
            parts.append(f'<text x="{left}" y="{top}" fill="{color}">{escape(name[:22])}</text>')
    return "".join(parts) + "</g>\n"


def _named(legend: str, labels: dict[str, str]) -> str:
    for label, value in labels.items():
        legend = legend.replace(f"{{{{{label}}}}}", value)
    return legend


def main() -> None:
    """Write a file for each dashboard."""
    parser = argparse.ArgumentParser(prog="python -m deploy.monitoring.draw", description="Draw the dashboards as SVG.")
    parser.add_argument("prometheus", help="the URL of a Prometheus, such as http://127.0.0.1:9090")
    parser.add_argument("--minutes", type=float, default=15.0, help="how far back (15)")
    parser.add_argument("--into", type=Path, default=Path("drawn"), help="the folder (drawn)")
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    end = time.time()
    for board in BOARDS:
        path = given.into / f"{board.name}.svg"
        path.write_text(draw(board, query_of(given.prometheus), end - 60 * given.minutes, end), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
