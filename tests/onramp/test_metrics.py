"""Every family that dashboards and alarms rely on is shown by a running service, named as the interface says."""

import time
import urllib.request

import pytest

from onramp.dev.machine import ROOT
from tests.conftest import DevStack

pytestmark = pytest.mark.skipif(
    not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(), reason="node packages are not installed (make setup)"
)
FAMILIES = {
    "requests by route and status": ("onramp_http_requests_total", "onramp_http_request_duration_seconds"),
    "sessions": ("onramp_sessions",),
    "webhooks": ("onramp_webhook_events_total", "onramp_webhook_event_age_seconds"),
    "deliveries": ("onramp_deliveries", "onramp_delivery_duration_seconds", "onramp_deliveries_overdue"),
    "nodes": (
        "chain_rpc_requests_total", "chain_rpc_errors_total", "chain_rpc_duration_seconds", "chain_node_head_block",
        "chain_node_lag_blocks", "chain_node_up", "chain_rpc_credits_total",
    ),
    "money on its way": (
        "treasury_payouts", "treasury_sweeps", "treasury_transactions_in_flight", "treasury_nonce",
        "treasury_gas_spent_total", "treasury_signer_seconds", "treasury_signer_errors_total",
    ),
    "money": ("treasury_balance", "treasury_ledger_difference", "treasury_receivable_age_seconds"),
    "workers": ("onramp_worker_backlog", "onramp_worker_backlog_age_seconds"),
    "database": ("onramp_database_pool_connections", "onramp_database_pool_size"),
}  # fmt: skip
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
    wanted = {name.removesuffix("_total") for names in FAMILIES.values() for name in names}
    assert wanted - {kind.removesuffix("_total") for kind in kinds} == set()
    strangers = {kind for kind in kinds if not kind.startswith(("onramp_", "chain_", "treasury_"))}
    assert strangers == set()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values['treasury_balance{asset="MUSD",kind="ceiling"}']) == 20_000
    assert float(values['treasury_balance{asset="BTC",kind="floor"}']) == 0.001
