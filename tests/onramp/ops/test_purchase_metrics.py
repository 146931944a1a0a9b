"""Counters of purchases: every label is at 0 from the start, amounts are in token units, and a rolled-back change counts nothing."""

from prometheus_client import CollectorRegistry

from onramp import __version__
from onramp.ops.objectives import OBJECTIVES
from onramp.ops.purchase_metrics import PurchaseMetrics
from onramp.ops.service_metrics import show_build
from onramp.ops.state_counts import StateMetrics
from onramp.sessions.moves import SessionMoved, moves_of
from onramp.sessions.status import DeliveryStatus, PaymentStatus
from onramp.stripe.breaker import StripeMetrics
from onramp.webhooks.intake import WebhookMetrics
from treasury.payouts.service import UNWOUND, Unwound


def samples(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def test_every_series_of_bounded_labels_is_there_at_0() -> None:
    registry = CollectorRegistry()
    PurchaseMetrics(registry), StateMetrics(registry), StripeMetrics(registry), WebhookMetrics(registry)
    moves: set[tuple[str, ...]] = {("payment", str(status)) for status in PaymentStatus} | {
        ("delivery", str(s)) for s in DeliveryStatus
    }
    expected: dict[str, set[tuple[str, ...]]] = {
        "onramp_session_moves_total": moves,
        "onramp_paid_usdc_total": {()},
        "onramp_delivered_musd_total": {()},
        "onramp_unwound_total": {(how,) for how in UNWOUND.values()},
        "onramp_sessions": {(str(status),) for status in PaymentStatus},
        "onramp_deliveries": {(str(status),) for status in DeliveryStatus},
        "treasury_payout_oldest_seconds": {("held",), ("awaiting_approval",)},
        "treasury_paused": {("sales",), ("payouts",), ("sweeps",)},
        "onramp_stripe_rate_limited_total": {()},
        "onramp_webhook_events_total": {("stored",), ("duplicate",), ("ignored",), ("refused",)},
    }
    for name, labels in expected.items():
        assert samples(registry, name) == dict.fromkeys(labels, 0), name
    assert ("create", "ok") in samples(registry, "onramp_stripe_calls_total")


def test_amounts_are_token_units_and_unknown_facts_are_ignored() -> None:
    registry = CollectorRegistry()
    metrics = PurchaseMetrics(registry)
    paid = {"payment_status": PaymentStatus.FULFILLMENT_COMPLETE, "delivered_units": 25_500_000}
    confirmed = {"delivery_status": DeliveryStatus.CONFIRMED, "received_units": 25 * 10**18}
    for fact in (*moves_of(paid), *moves_of(confirmed), *moves_of({"overdue": True}), Unwound("settled"), "unknown"):
        metrics.count(fact)
    assert samples(registry, "onramp_paid_usdc_total") == {(): 25.5}
    assert samples(registry, "onramp_delivered_musd_total") == {(): 25}
    assert samples(registry, "onramp_unwound_total")["settled",] == 1
    assert sum(samples(registry, "onramp_session_moves_total").values()) == 2
    assert list(moves_of(confirmed)) == [SessionMoved("delivery", DeliveryStatus.CONFIRMED, musd=25 * 10**18)]


def test_the_targets_and_the_build_are_shown() -> None:
    registry = CollectorRegistry()
    show_build(registry, mode="payout", chain_id=31611, environment="development", revision="1a2b3c")
    assert samples(registry, "onramp_slo_target") == {(o.slo,): o.target for o in OBJECTIVES}
    (labels,) = samples(registry, "onramp_build_info")
    assert labels == (__version__, "1a2b3c", "payout", "31611", "development")
