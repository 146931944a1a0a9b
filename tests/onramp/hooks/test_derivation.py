"""Which events follow from a change."""

from typing import Any

import pytest

from onramp.hooks.derivation import events_of
from onramp.hooks.event_data import DATA_MODELS
from onramp.hooks.event_types import TOPICS, EventType, topics_of, wants


def session(payment: str = "initialized", delivery: str = "awaiting", **other: Any) -> dict[str, Any]:
    row = {"payment_status": payment, "delivery_status": delivery, "overdue": False, "attention": None}
    return row | {"block_hash": None} | other


PAID = "fulfillment_complete"
CONFIRMED = session(PAID, "confirmed", block_hash="0xa")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, session("created"), ["session.created"]),
        (session("created"), session(), []),
        (session(), session("fulfillment_processing"), ["session.processing"]),
        (session("fulfillment_processing"), session(PAID), ["session.delivering"]),
        (session(PAID), session(PAID, "seen", block_hash="0xa"), ["delivery.seen"]),
        (session(PAID, "seen", block_hash="0xa"), CONFIRMED, ["session.completed", "delivery.confirmed"]),
        (session(PAID), session(PAID, overdue=True), ["session.attention"]),
        (session(PAID, overdue=True), session(PAID), ["session.delivering"]),
        (session(PAID, overdue=True), CONFIRMED, ["session.completed", "delivery.confirmed"]),
        (session(PAID), session(PAID, "mismatch"), ["session.attention", "delivery.mismatch"]),
        (session(), session("rejected"), ["session.rejected"]),
        (session(), session("expired"), ["session.expired"]),
        (session("expired"), session(PAID), ["session.reopened", "session.delivering"]),
        (session("rejected"), session(), ["session.reopened"]),
        (session("expired"), session("rejected"), ["session.rejected"]),
        (CONFIRMED, session(PAID, "seen"), ["session.delivering", "delivery.reorged"]),
        (session(PAID, "seen", block_hash="0xa"), session(PAID), ["delivery.reorged"]),
        (session(PAID, "seen", block_hash="0xa"), session(PAID, "seen", block_hash="0xb"), ["delivery.reorged"]),
        (CONFIRMED, CONFIRMED | {"confirmations": 9}, []),
        (None, session(PAID), ["session.created", "session.delivering"]),
        # SQLite stores truth as a number.
        (session(PAID, overdue=0), session(PAID, overdue=1), ["session.attention"]),
    ],
)
def test_events_of_a_session(old: dict[str, Any] | None, new: dict[str, Any], expected: list[str]) -> None:
    assert events_of("session", old, new) == [*expected, "session.updated"]


@pytest.mark.parametrize(
    ("topic", "old", "new", "expected"),
    [
        ("payout", None, {"status": "planned"}, []),
        ("payout", {"status": "planned"}, {"status": "held"}, ["payout.held"]),
        ("payout", {"status": "held"}, {"status": "held"}, []),
        ("payout", None, {"status": "awaiting_approval"}, ["payout.awaiting_approval"]),
        ("payout", {"status": "mined"}, {"status": "final"}, ["payout.final"]),
        ("payout", {"status": "mined"}, {"status": "reverted"}, ["payout.reverted"]),
        ("sweep", None, {"status": "planned", "purpose": "by hand"}, ["sweep.proposed"]),
        (
            "sweep", None, {"status": "awaiting_approval", "purpose": "excess over ceiling"},
            ["sweep.proposed", "treasury.ceiling_exceeded", "sweep.awaiting_approval"],
        ),
        ("sweep", {"status": "approved"}, {"status": "held", "purpose": "x"}, ["sweep.held"]),
        ("sweep", {"status": "mined"}, {"status": "final", "purpose": "x"}, ["sweep.final"]),
        ("pause", None, {"status": "paused"}, ["treasury.paused"]),
        ("pause", {"status": "paused"}, {"status": "running"}, ["treasury.resumed"]),
        ("policy", {"status": "approved"}, {"status": "active"}, ["treasury.policy_changed"]),
        ("policy", None, {"status": "proposed"}, []),
        ("key", None, {"revoked_at": None}, ["key.created"]),
        ("key", {"revoked_at": None}, {"revoked_at": "2026"}, ["key.revoked"]),
        ("alarm", None, {"name": "delivery.overdue", "ended_at": None}, ["alarm.raised"]),
        (
            "alarm", None, {"name": "treasury.payout_insufficient", "ended_at": None},
            ["alarm.raised", "treasury.balance_low"],
        ),
        ("alarm", {"ended_at": None}, {"name": "x", "ended_at": "2026"}, ["alarm.cleared"]),
        ("weather", None, {}, []),
    ],
)  # fmt: skip
def test_events_of_other_rows(topic: str, old: Any, new: Any, expected: list[str]) -> None:
    assert events_of(topic, old, new) == expected


def test_every_event_has_a_topic_and_a_model_of_its_data() -> None:
    assert set(TOPICS) == set(EventType) == set(DATA_MODELS)


def test_a_subscription_needs_the_topics_of_its_events_only() -> None:
    assert topics_of(["session.completed", "delivery.seen"]) == {"session"}
    assert topics_of(["webhook.disabled"]) == set()
    assert topics_of(["*"]) == {"session", "payout", "sweep", "pause", "policy", "key", "alarm"}
    assert not wants(["*"], EventType.WEBHOOK_TEST)
