"""For each handwritten alert: series with which it fires, and similar ones with which it stays silent.

Values are in promtool's notation, one each minute: `1x90` is 1 at 91 minutes in a row, `0+2x90` grows by 2.
"""

from dataclasses import dataclass, field
from typing import Final

Series = dict[str, str]


@dataclass(frozen=True, slots=True)
class Example:
    """An alert fires with `fires` after `after`, and is silent with `silent`."""

    fires: Series
    silent: Series
    after: str = "60m"
    alerts: int = field(default=1)
    """How many alerts fire: one for each node, asset or worker."""


def gauge(series: str, firing: float, silent: float, after: str = "60m") -> Example:
    """Return the example of an alert about a value that stays the same."""
    return Example({series: f"{firing}x120"}, {series: f"{silent}x120"}, after)


def grows(series: str, firing: float, silent: float = 0) -> Example:
    """Return the example of an alert about a counter: by how much it grows in a minute."""
    return Example({series: f"0+{firing}x120"}, {series: f"0+{silent}x120"})


REQUESTS: Final = 'onramp_http_requests_total{method="GET",route="/api/v1/onramp/sessions/{id}",status="%s"}'
STRIPE: Final = 'onramp_http_requests_total{method="POST",route="/api/v1/webhooks/stripe",status="%s"}'


def requests(template: str, bad: float) -> Series:
    """Return 100 good and `bad` failed requests a minute for four days."""
    return {template % 200: "0+100x6000", template % 503: f"0+{bad}x6000"}


def late(histogram: str, limit: str, bad: float, total: float = 100) -> Series:
    """Return `total` observations a minute for four days, `bad` of which are above the limit."""
    return {f'{histogram}_bucket{{le="{limit}"}}': f"0+{total - bad}x6000", f"{histogram}_count": f"0+{total}x6000"}


DELIVERY, EVENT = "onramp_delivery_duration_seconds", "onramp_webhook_event_age_seconds"
OBJECTIVES: Final[dict[str, Example]] = {
    # Silent: just within the budget; and, for deliveries, all bad but too few to judge by.
    **{
        f"OnrampApiBudget{name}": Example(requests(REQUESTS, bad), requests(REQUESTS, 0.05), after)
        for name, bad, after in (("Fast", 3, "2h"), ("Steady", 1, "8h"), ("Slow", 0.2, "80h"))
    },
    **{
        f"OnrampWebhooksBudget{name}": Example(requests(STRIPE, bad), requests(STRIPE, 0.005), after)
        for name, bad, after in (("Fast", 1, "2h"), ("Steady", 0.1, "8h"), ("Slow", 0.02, "80h"))
    },
    **{
        f"OnrampDeliveryBudget{name}": Example(late(DELIVERY, "60.0", bad), late(DELIVERY, "60.0", 0.001, 0.001), after)
        for name, bad, after in (("Fast", 20, "2h"), ("Steady", 8, "8h"), ("Slow", 2, "80h"))
    },
    **{
        f"OnrampEventsBudget{name}": Example(late(EVENT, "10.0", bad), late(EVENT, "10.0", 0.5), after)
        for name, bad, after in (("Fast", 20, "2h"), ("Steady", 8, "8h"), ("Slow", 2, "80h"))
    },
}
MONEY: Final[dict[str, Example]] = {
    "OnrampSigningStopped": gauge("treasury_signing_stopped", 1, 0),
    "OnrampNobodyLeads": Example({"treasury_leader": "0x120"}, {'treasury_leader{instance="a"}': "0x120", 'treasury_leader{instance="b"}': "1x120"}),
    "OnrampTwoLeaders": Example(
        {'treasury_leader{instance="a"}': "1x120", 'treasury_leader{instance="b"}': "1x120"},
        {'treasury_leader{instance="a"}': "1x120", 'treasury_leader{instance="b"}': "0x120"},
    ),
    "OnrampBuyersWait": gauge("onramp_deliveries_overdue", 1, 0),
    "OnrampHotWalletBelowFloor": Example(
        {'treasury_balance{asset="MUSD",kind="available"}': "4999x120", 'treasury_balance{asset="MUSD",kind="floor"}': "5000x120"},
        {'treasury_balance{asset="MUSD",kind="available"}': "5000x120", 'treasury_balance{asset="MUSD",kind="floor"}': "5000x120",
         'treasury_balance{asset="BTC",kind="available"}': "1x120", 'treasury_balance{asset="BTC",kind="floor"}': "0.001x120"},
    ),
    "OnrampHotWalletRunsOut": Example(
        {'treasury_balance{asset="MUSD",kind="available"}': "10000-25x400"},
        {'treasury_balance{asset="MUSD",kind="available"}': "10000-2x400"}, "6h",
    ),
    "OnrampColdWalletUnverified": gauge("treasury_cold_wallet_verified", 0, 1),
    "OnrampPayoutsHeld": Example(
        {'treasury_payouts{status="held"}': "2x120"}, {'treasury_payouts{status="held"}': "0x120", 'treasury_payouts{status="final"}': "9x120"}
    ),
    "OnrampPayoutsOld": gauge('treasury_payout_oldest_seconds{status="broadcast"}', 3700, 300),
    "OnrampUnpaidBuyers": Example(
        {'treasury_payouts{status="reverted"}': "1x120"}, {'treasury_payouts{status="reverted"}': "0x120", 'treasury_payouts{status="cancelled"}': "3x120"}
    ),
    "OnrampReceivableOld": gauge("treasury_receivable_age_seconds", 2 * 86400 + 60, 86400),
    "OnrampSignerFails": grows('treasury_signer_errors_total{outcome="unavailable"}', 1),
    "OnrampAuditMoved": gauge("onramp_audit_chain_moved", 1, 0),
    "OnrampRebuilding": gauge("treasury_rebuilding", 3, 0),
}  # fmt: skip
CHAIN: Final[dict[str, Example]] = {
    "OnrampTooFewNodes": Example(
        {'chain_node_up{node="alpha"}': "1x120", 'chain_node_up{node="beta"}': "0x120"},
        {'chain_node_up{node="alpha"}': "1x120", 'chain_node_up{node="beta"}': "1x120", 'chain_node_up{node="gamma"}': "0x120"},
    ),
    "OnrampNodeContradicts": gauge('chain_node_set_aside{node="alpha"}', 1, 0),
    "OnrampChainHalted": gauge("chain_paused", 1, 0, "10m"),
    "OnrampChainHaltedLong": Example({"chain_paused": "1x120"}, {"chain_paused": "1x20 0x120"}),
    "OnrampNodeLags": gauge('chain_node_lag_blocks{node="alpha"}', 4, 3),
    "OnrampCreditsRunOut": Example(
        {'chain_node_credits_left{node="alpha"}': "10000-10x500", 'chain_node_credits_used{node="alpha"}': "90000+10x500"},
        {'chain_node_credits_left{node="alpha"}': "60000-10x500", 'chain_node_credits_used{node="alpha"}': "40000+10x500"}, "7h",
    ),
    "OnrampUnreadBlocks": gauge("onramp_delivery_unread_blocks", 2, 0),
}  # fmt: skip
SERVICE: Final[dict[str, Example]] = {
    "OnrampDown": gauge('up{job="onramp-work",instance="a"}', 0, 1),
    "OnrampAbsent": Example({'up{job="other"}': "1x120"}, {'up{job="onramp-api"}': "1x120"}),
    "OnrampStripeCircuitOpen": gauge("onramp_stripe_circuit_open", 1, 0),
    "OnrampStripeLimits": grows("onramp_stripe_rate_limited_total", 2, 0.5),
    "OnrampWebhooksSilent": Example(
        {'onramp_webhook_events_total{outcome="stored"}': "5x300", 'onramp_stripe_calls_total{call="create",outcome="ok"}': "0+1x300"},
        {'onramp_webhook_events_total{outcome="stored"}': "5x300", 'onramp_stripe_calls_total{call="create",outcome="ok"}': "7x300"}, "4h",
    ),
    "OnrampWebhooksRefused": Example(
        {'onramp_webhook_events_total{outcome="stored"}': "5x120", 'onramp_webhook_events_total{outcome="refused"}': "0+1x120"},
        {'onramp_webhook_events_total{outcome="stored"}': "0+1x120", 'onramp_webhook_events_total{outcome="refused"}': "0+1x120"},
    ),
    "OnrampBacklogOld": gauge('onramp_worker_backlog_age_seconds{worker="inbox"}', 301, 299),
    "OnrampWorkerFails": Example(
        {'onramp_worker_last_success_timestamp_seconds{worker="inbox"}': "60x120"},
        {'onramp_worker_last_success_timestamp_seconds{worker="inbox"}': "0+60x120"},
    ),
    "OnrampWorkerMissing": gauge('onramp_worker_missing{worker="inbox"}', 1, 0),
    "OnrampWorkerStalled": gauge('onramp_worker_stalled{worker="inbox",instance="a"}', 1, 0),
    "OnrampParked": gauge('onramp_worker_parked{worker="inbox"}', 1, 0),
    "OnrampPoolExhausted": Example(
        {'onramp_database_pool_connections{state="in_use",instance="a"}': "9x120", 'onramp_database_pool_size{instance="a"}': "10x120"},
        {'onramp_database_pool_connections{state="in_use",instance="a"}': "7x120", 'onramp_database_pool_size{instance="a"}': "10x120"},
    ),
    "OnrampReplicaLags": gauge("onramp_replica_lag_seconds", 61, 5),
    "OnrampRateLimitsLocal": grows("onramp_rate_limit_fallbacks_total", 1),
    "OnrampProcessLags": gauge('onramp_process_lag_seconds{instance="a"}', 0.6, 0.05),
    "OnrampListOld": gauge("onramp_screening_list_age_seconds", 3 * 86400, 86400),
}  # fmt: skip
EXAMPLES: Final = {"objectives": OBJECTIVES, "money": MONEY, "chain": CHAIN, "service": SERVICE}
"""The examples by rule file. The alarms of the catalogue need none: their rules differ in the name alone."""
