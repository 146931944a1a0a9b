"""Every family that dashboards and alarms rely on is shown by a running service, named as the interface says."""

import asyncio
import time
import urllib.request
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from chain.node.metrics import PrometheusMetrics
from chain.types import to_checksum
from onramp.dev.local.host import ROOT
from tests.support.dev_stack import DevStack
from treasury.core.status import Status
from treasury.metrics import PrometheusTreasuryMetrics

pytestmark = pytest.mark.skipif(
    not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(), reason="node packages are not installed (make setup)"
)
FAMILIES: dict[str, tuple[str, ...]] = {
    # requests: duration and count by route and status
    "onramp_http_requests_total": ("method", "route", "status"),
    "onramp_http_request_duration_seconds": ("method", "route", "status"),
    "onramp_sessions": ("status",),
    # webhook events by outcome, and their age when handled
    "onramp_webhook_events_total": ("outcome",),
    "onramp_webhook_event_age_seconds": (),
    # deliveries by status, time from paid to confirmed, overdue count
    "onramp_deliveries": ("status",),
    "onramp_delivery_duration_seconds": (),
    "onramp_deliveries_overdue": (),
    # RPC by node, named, never by URL
    "chain_rpc_requests_total": ("method", "node", "outcome"),
    "chain_rpc_errors_total": ("kind", "node"),
    "chain_rpc_duration_seconds": ("method", "node"),
    "chain_rpc_credits_total": ("node",),
    "chain_node_head_block": ("node",),
    "chain_node_lag_blocks": ("node",),
    "chain_node_up": ("node",),
    # money on its way
    "treasury_payouts": ("status",),
    "treasury_sweeps": ("status",),
    "treasury_transactions_in_flight": (),
    "treasury_nonce": (),
    "treasury_gas_spent_total": (),
    "treasury_signer_seconds": (),
    "treasury_signer_errors_total": ("outcome",),
    # balances on chain, held, available, floor and ceiling by asset; the ledger's difference
    "treasury_balance": ("asset", "kind"),
    "treasury_ledger_difference": ("asset",),
    "treasury_receivable_age_seconds": (),
    # backlog and age of every worker; the database's pool
    "onramp_worker_backlog": ("worker",),
    "onramp_worker_backlog_age_seconds": ("worker",),
    "onramp_database_pool_connections": ("state",),
    "onramp_database_pool_size": (),
    # volume, conversion, and what was not made whole; counted after the commit
    "onramp_session_moves_total": ("axis", "to"),
    "onramp_paid_usdc_total": (),
    "onramp_delivered_musd_total": (),
    "onramp_unwound_total": ("how",),
    "treasury_payout_oldest_seconds": ("status",),
    "onramp_stripe_rate_limited_total": (),
    "onramp_build_info": ("chain_id", "environment", "mode", "revision", "version"),
    "onramp_slo_target": ("slo",),
    "onramp_process_lag_seconds": (),
}
ONLY_WHEN_IT_FAILS = {"chain_rpc_errors_total", "treasury_signer_errors_total"}
"""Their labels are known with their first error; here they are read where the families are declared."""
SAMPLES = (
    *(f'treasury_balance{{asset="MUSD",kind="{kind}"}}' for kind in ("on_chain", "held", "available", "floor", "target", "ceiling")),
    'treasury_balance{asset="BTC",kind="floor"}',
    'treasury_ledger_difference{asset="MUSD"}',
    *(f'onramp_worker_backlog{{worker="{name}"}}' for name in ("inbox", "reconcile", "deliveries", "treasury", "audit", "janitor")),
    *(f'onramp_worker_backlog_age_seconds{{worker="{name}"}}' for name in ("deliveries", "treasury", "audit")),
    'onramp_database_pool_connections{state="in_use"}',
    'onramp_database_pool_connections{state="idle"}',
    'chain_node_up{node="',
)  # fmt: skip


def shown(stack: DevStack) -> str:
    with urllib.request.urlopen(stack.metrics, timeout=10) as answer:
        return str(answer.read().decode())


def test_a_running_service_shows_every_family_and_the_money_by_asset(dev_stack: DevStack) -> None:
    until = time.monotonic() + 60
    while missing := [sample for sample in SAMPLES if f"\n{sample}" not in (text := shown(dev_stack))]:
        assert time.monotonic() < until, missing
        time.sleep(0.5)
    kinds = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert {name.removesuffix("_total") for name in FAMILIES} <= {kind.removesuffix("_total") for kind in kinds}
    strangers = {kind for kind in kinds if not kind.startswith(("onramp_", "chain_", "treasury_"))}
    assert strangers == set()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values['treasury_balance{asset="MUSD",kind="ceiling"}']) == 20_000
    assert float(values['treasury_balance{asset="BTC",kind="floor"}']) == 0.001


async def bought(stack: DevStack) -> None:
    """Complete one purchase, so that every metric about purchases has counted it."""
    body = {"walletAddress": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", "sourceAmount": "3", "sourceCurrency": "usd"}
    async with aiohttp.ClientSession() as http, asyncio.timeout(60):
        while True:
            async with http.post(f"{stack.api}/api/v1/onramp/sessions", json=body) as answer:
                made = await answer.json(content_type=None)
            if answer.status != 503:  # the hot wallet's balance is not read yet
                break
            await asyncio.sleep(0.2)
        stripe_id = made["payment"]["stripeSessionId"]
        url = f"{stack.stripe}/sandbox/onramp_sessions/{stripe_id}/advance"
        async with http.post(url, json={"status": "fulfillment_complete"}) as answer:
            assert answer.status == 200
        while made["status"] != "completed":
            await asyncio.sleep(0.2)
            async with http.get(f"{stack.api}/api/v1/onramp/sessions/{made['id']}") as answer:
                made = await answer.json()


def labels_of(text: str) -> dict[str, set[tuple[str, ...]]]:
    """Return by family the label names of its samples, without `le` and `quantile`; counters by their full name."""
    samples: dict[str, set[tuple[str, ...]]] = {}
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                samples.setdefault(name, set()).add(tuple(sorted(set(sample.labels) - {"le", "quantile"})))
    return samples


async def test_after_a_purchase_each_family_has_samples_with_its_labels_and_no_others(dev_stack: DevStack) -> None:
    await bought(dev_stack)
    until = time.monotonic() + 60
    expected = {name: {labels} for name, labels in FAMILIES.items() if name not in ONLY_WHEN_IT_FAILS}
    while (samples := labels_of(await asyncio.to_thread(shown, dev_stack))) and not expected.items() <= samples.items():
        assert time.monotonic() < until, {
            name: samples.get(name) for name in expected if samples.get(name) != expected[name]
        }
        await asyncio.sleep(0.5)
    text = await asyncio.to_thread(shown, dev_stack)
    assert 'onramp_http_requests_total{method="POST",route="/api/v1/onramp/sessions",status="201"}' in text
    assert all(f'treasury_payouts{{status="{status}"}}' in text for status in Status)
    assert "127.0.0.1" not in text, "nodes are named, never by URL"


async def ask(http: aiohttp.ClientSession, stack: DevStack, path: str) -> Any:
    async with http.get(
        f"{stack.api}/api/v1/treasury/{path}", headers={"Authorization": f"Bearer {stack.viewer}"}
    ) as answer:
        return await answer.json()


async def rpc(http: aiohttp.ClientSession, stack: DevStack, method: str, *params: object) -> Any:
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with http.post(stack.rpc, json=call) as answer:
        return (await answer.json())["result"]


async def gas_spent(http: aiohttp.ClientSession, stack: DevStack, wallet: str) -> int:
    """Return the wei that the wallet has paid for gas, from every block: for payouts, sweeps, and the approval of PayOnce."""
    newest = int(await rpc(http, stack, "eth_blockNumber"), 16)
    blocks = [await rpc(http, stack, "eth_getBlockByNumber", hex(number), True) for number in range(newest + 1)]
    own = [call["hash"] for block in blocks for call in block["transactions"] if to_checksum(call["from"]) == wallet]
    receipts = [await rpc(http, stack, "eth_getTransactionReceipt", tx_hash) for tx_hash in own]
    return sum(int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16) for receipt in receipts)


async def booked(http: aiohttp.ClientSession, stack: DevStack) -> dict[str, float]:
    """Return what the metrics must show, computed from the routes and the chain."""
    rows = {kind: (await ask(http, stack, f"{kind}?limit=200"))["data"] for kind in ("payouts", "sweeps")}
    final = [row for kind in rows.values() for row in kind if row["status"] == "final"]
    wallet = (await ask(http, stack, f"transactions/{final[0]['transactionId']}"))["wallet"]
    spent = await gas_spent(http, stack, wallet)
    figures = {
        "treasury_leader": 1.0,
        "treasury_transactions_in_flight": 0.0,
        "treasury_nonce": float(int(await rpc(http, stack, "eth_getTransactionCount", wallet, "latest"), 16)),
        "treasury_gas_spent_total": spent / 10**18,
        "onramp_deliveries_overdue": 0.0,
        'onramp_deliveries{status="confirmed"}': float(len(rows["payouts"])),
        'onramp_worker_backlog{worker="treasury"}': 0.0,
        'onramp_session_moves_total{axis="payment",to="created"}': float(len(rows["payouts"])),
        'onramp_session_moves_total{axis="payment",to="fulfillment_complete"}': float(len(rows["payouts"])),
        'onramp_session_moves_total{axis="delivery",to="seen"}': float(len(rows["payouts"])),
        'onramp_session_moves_total{axis="delivery",to="confirmed"}': float(len(rows["payouts"])),
        "onramp_delivered_musd_total": float(sum(Decimal(row["amount"]) for row in rows["payouts"])),
    }
    for kind, operations in rows.items():
        for status in Status:
            figures[f'treasury_{kind}{{status="{status}"}}'] = float(sum(row["status"] == status for row in operations))
    for balance in (await ask(http, stack, "balances"))["data"]:
        for kind, name in (("on_chain", "onChain"), ("held", "held"), ("available", "available")):
            figures[f'treasury_balance{{asset="{balance["asset"]}",kind="{kind}"}}'] = float(balance[name])
    return figures


async def test_the_figures_are_those_of_the_books_and_the_chain(dev_stack: DevStack) -> None:
    await bought(dev_stack)
    until = time.monotonic() + 60
    async with aiohttp.ClientSession() as http:
        while True:
            expected = await booked(http, dev_stack)
            lines = (await asyncio.to_thread(shown, dev_stack)).splitlines()
            samples = {
                name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name in expected
            }
            if samples == pytest.approx(expected):
                break
            wrong = {
                name: (samples.get(name), expected[name]) for name in expected if samples.get(name) != expected[name]
            }
            assert time.monotonic() < until, wrong
            await asyncio.sleep(0.5)


def test_errors_are_counted_by_node_and_kind_and_by_outcome() -> None:
    registry = CollectorRegistry()
    PrometheusMetrics(registry).request("alpha", "eth_call", "timeout", 1.0)
    PrometheusTreasuryMetrics(registry).signed(1.0, "unavailable")
    assert registry.get_sample_value("chain_rpc_errors_total", {"node": "alpha", "kind": "timeout"}) == 1
    assert registry.get_sample_value("treasury_signer_errors_total", {"outcome": "unavailable"}) == 1
