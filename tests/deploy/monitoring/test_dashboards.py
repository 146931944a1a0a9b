"""The dashboards: their form, the metrics that they name, and the data that a real Prometheus has for them after a purchase and four incidents."""

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.monitoring import generate
from deploy.monitoring.boards import BOARDS
from deploy.monitoring.draw import draw, query_of
from deploy.monitoring.panels import Board, Panel
from deploy.monitoring.rules import groups
from onramp.dev.chain.devchain import OPERATORS
from onramp.dev.local.host import ROOT
from tests.support.dev_stack import DevStack, dev_process, post_json
from tests.support.prometheus import needs_prometheus
from tests.support.real_prometheus import RealPrometheus, real_prometheus

FOLDER = ROOT / "deploy/monitoring/grafana/dashboards"
PANELS = [pytest.param(panel, id=f"{board.name}-{panel.title}") for board in BOARDS for panel in board.panels]
BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
LISTED = "0x976EA74026E726554dB657fA54763abd0C3a0aa9"
"""An address on the sanctions list."""
LIAR = OPERATORS[2]
"""The node that lies for a while."""
WITHOUT_PANEL = {
    "onramp_slo_target": "a part of the panels of budgets, whose expression contains it",
    "treasury_balance_block": "the block of a balance; of use beside the balance in `onramp treasury balances` only",
    "treasury_signer_errors_total": "the panel of signatures shows the same by outcome",
    "onramp_audit_head_hash": "a text to copy, not to draw",
    "onramp_screening_list_addresses": "a size that changes with each list",
    "onramp_screening_list_unreadable": "the alarm screening.list_unreadable, which is on the panel of alarms",
}
"""Metrics that no panel draws -> why."""
NOT_IN_DEVELOPMENT = {
    "onramp_replica_lag_seconds": "declared with DATABASE_REPLICA_URL; tests/onramp/ops/test_lagging_replica.py reads it",
    "onramp_rate_limit_fallbacks_total": "declared with REDIS_URL",
    "onramp_buyer_mails_total": "declared with SMTP_URL",
}
"""Metrics that only a part declares which development does not have."""
WITHOUT_DATA = {
    "chain_node_credits_left": "only a node with a monthly limit has credits",
    "chain_rpc_errors_total": "only calls that fail are in it",
    "onramp_replica_lag_seconds": "development has no read replica",
    "onramp_rate_limit_fallbacks_total": "development has no Redis",
    "onramp_buyer_mails_total": "development has no mail server",
    "> 0": "only what is above 0 is shown",
}
"""Part of an expression -> why it has no data after that in development."""


def boards() -> dict[str, Any]:
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def test_the_committed_dashboards_are_what_the_generator_writes() -> None:
    written = {path.name: text for path, text in generate.files().items() if path.parent == FOLDER}
    assert {path.name: path.read_text() for path in FOLDER.glob("*")} == written
    assert len(written) == 4


@pytest.mark.parametrize("name", [f"{board.name}.json" for board in BOARDS])
def test_a_dashboard_can_be_imported_anywhere(name: str) -> None:
    board = boards()[name]
    assert board["id"] is None
    assert board["uid"] == f"onramp-{name.removesuffix('.json')}"
    assert board["tags"] == ["onramp"]
    (variable,) = board["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    assert 8 <= len(board["panels"]) <= 20
    places = set()
    for panel in board["panels"]:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["description"].endswith((".", "?")), panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert target["legendFormat"], panel["title"]
            assert " rate(" not in target["expr"] or "[$__rate_interval]" in target["expr"] or "[6h]" in target["expr"]
        places.add((panel["gridPos"]["x"], panel["gridPos"]["y"]))
    assert len(places) == len(board["panels"]), "two panels are in one place"
    assert len({panel["title"] for panel in board["panels"]}) == len(board["panels"])


@dataclass(frozen=True, slots=True)
class Seen:
    """What was scraped after the incidents."""

    prometheus: RealPrometheus
    labels: dict[str, set[str]]
    """The label names of each sample name; empty for a family without samples."""


def created(stack: DevStack, wallet: str = BUYER) -> tuple[int, Any]:
    body = {"walletAddress": wallet, "sourceAmount": "3", "sourceCurrency": "usd"}
    until = time.monotonic() + 60
    while (made := post_json(f"{stack.api}/api/v1/onramp/sessions", body))[0] == 503:
        assert time.monotonic() < until, made
        time.sleep(0.2)
    return made


def pay(stack: DevStack, made: Any) -> None:
    url = f"{stack.stripe}/sandbox/onramp_sessions/{made['payment']['stripeSessionId']}/advance"
    assert post_json(url, {"status": "fulfillment_complete"})[0] == 200


class Incidents:
    """A purchase, a refusal, a lying node, a pause and a held payout; each is waited for until Prometheus has scraped it."""

    def __init__(self, stack: DevStack, prometheus: RealPrometheus, lies: Path) -> None:
        self.stack, self.prometheus, self._lies = stack, prometheus, lies

    def happen(self) -> None:
        """Bring them about."""
        status, made = created(self.stack)
        assert status == 201, made
        pay(self.stack, made)
        self.seen('treasury_payouts{status="final"} >= 1')
        status, problem = created(self.stack, LISTED)
        assert status == 403, problem
        self.seen("onramp_screening_refused_total >= 1")
        self._lies.touch()
        self.seen(f'chain_node_dissents_total{{node="{LIAR}"}} >= 1')
        self._lies.unlink()
        status, made = created(self.stack)
        assert status == 201, made
        order = {"scope": "payouts", "note": "test"}
        assert post_json(f"{self.stack.api}/api/v1/treasury/pause", order, self.stack.operator)[0] == 200
        pay(self.stack, made)
        self.seen('treasury_payouts{status="held"} >= 1 and on() treasury_paused{scope="payouts"} == 1')
        self.seen("increase(treasury_nonce[20s]) >= 0")

    def seen(self, expr: str) -> None:
        """Wait until a query returns something."""
        until = time.monotonic() + 60
        while not self.prometheus.query(expr):
            assert time.monotonic() < until, expr
            time.sleep(0.5)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("incidents")
    listed, lies = folder / "sanctions.txt", folder / "lies"
    listed.write_text(LISTED)
    with (
        dev_process(
            tmp_path_factory.mktemp("dev"),
            module="tests.support.lying_node",
            SANCTIONS_LIST=str(listed),
            LIAR=LIAR,
            LIES_WHILE=str(lies),
        ) as stack,  # fmt: skip
        real_prometheus(tmp_path_factory.mktemp("prometheus"), stack.metrics) as prometheus,
    ):
        Incidents(stack, prometheus, lies).happen()
        with urllib.request.urlopen(stack.metrics, timeout=10) as answer:
            text = answer.read().decode()
        labels: dict[str, set[str]] = {}
        for family in text_string_to_metric_families(text):
            labels.setdefault(family.name + ("_total" if family.type == "counter" else ""), set())
            for sample in family.samples:
                labels.setdefault(sample.name, set()).update(sample.labels)
        yield Seen(prometheus, labels)


def selectors(expr: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each metric of an expression with the names of the labels that select its series."""
    waiting = [promql_parser.parse(expr.replace("$__rate_interval", "10s"))]
    while waiting:
        node: Any = waiting.pop()
        if isinstance(node, promql_parser.VectorSelector):
            yield node.name or "", [matcher.name for matcher in node.matchers.matchers]
        if isinstance(node, promql_parser.MatrixSelector):
            waiting.append(node.vector_selector)
        for field in ("expr", "lhs", "rhs", "param"):
            child = getattr(node, field, None)
            if child is not None:
                waiting.append(child)
        waiting += list(getattr(node, "args", None) or [])


def expressions() -> list[str]:
    rules = [rule["expr"] for of_file in groups().values() for group in of_file for rule in group["rules"]]
    return [*rules, *(expr for board in BOARDS for panel in board.panels for expr, _ in panel.queries)]


@needs_prometheus
def test_every_metric_of_a_rule_or_panel_exists_with_its_labels(seen: Seen) -> None:
    for expr in expressions():
        named = list(selectors(expr))
        for metric, labels in named:
            if metric.startswith("onramp:") or metric == "up" or metric in NOT_IN_DEVELOPMENT:
                continue
            assert metric in seen.labels, f"{metric}: {expr}"
            if seen.labels[metric]:
                assert set(labels) <= seen.labels[metric] | {"instance", "job"}, expr
        assert named or expr.startswith("vector"), expr


@needs_prometheus
def test_every_metric_is_on_a_panel_or_has_a_reason(seen: Seen) -> None:
    drawn = " ".join(expr for board in BOARDS for panel in board.panels for expr, _ in panel.queries)
    suffixes = ("_bucket", "_count", "_sum", "_created")
    metrics = {name for name in seen.labels if not name.endswith(suffixes)}
    assert {name for name in metrics if name not in drawn and name not in WITHOUT_PANEL} == set()


@needs_prometheus
@pytest.mark.parametrize("panel", PANELS)
def test_every_query_returns_data_or_has_a_reason(seen: Seen, panel: Panel) -> None:
    for expr, _ in panel.queries:
        series = seen.prometheus.query(expr.replace("$__rate_interval", "10s"))
        assert series or any(part in expr for part in WITHOUT_DATA), expr


DRAWN = [
    ("purchases", 'sum(increase(onramp_session_moves_total{axis="delivery",to="confirmed"}[1h]))', {}),
    ("purchases", "sum(increase(onramp_screening_refused_total[1h]))", {}),
    ("nodes", "sum by (node) (increase(chain_node_dissents_total[15m]))", {"node": LIAR}),
    ("treasury", 'max by (status) (treasury_payouts{status!~"final|cancelled"})', {"status": "held"}),
    ("treasury", "max by (scope) (treasury_paused)", {"scope": "payouts"}),
]
"""The dashboard, query and labels of a series that shows each of the incidents."""


@needs_prometheus
@pytest.mark.parametrize(("name", "expr", "labels"), DRAWN, ids=[expr for _, expr, _ in DRAWN])
def test_the_dashboards_show_what_happened(seen: Seen, name: str, expr: str, labels: dict[str, str]) -> None:
    (board,) = [board for board in BOARDS if board.name == name]
    assert expr in [query for panel in board.panels for query, _ in panel.queries]
    values = [float(one["value"][1]) for one in seen.prometheus.query(expr) if labels.items() <= one["metric"].items()]
    assert len(values) == 1 and values[0] > 0


@needs_prometheus
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_dashboard_is_drawn_from_what_was_scraped(seen: Seen, board: Board) -> None:
    end = time.time()
    text = draw(board, query_of(seen.prometheus.url), end - 60, end)
    root = ET.fromstring(text)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {panel.title for panel in board.panels} <= set(texts)
    assert texts.count("no data") < len(board.panels) / 2
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) >= len(board.panels) / 2
