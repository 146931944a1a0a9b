"""The types of events that an endpoint can subscribe to, and the topic of the outbox that each comes from."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final


class EventType(StrEnum):
    """The type of an event."""

    SESSION_CREATED = "session.created"
    SESSION_PROCESSING = "session.processing"
    SESSION_DELIVERING = "session.delivering"
    SESSION_COMPLETED = "session.completed"
    """The MUSD is delivered and proved: the one event on which a shop should fulfil an order."""
    SESSION_REJECTED = "session.rejected"
    SESSION_EXPIRED = "session.expired"
    SESSION_ATTENTION = "session.attention"
    SESSION_REOPENED = "session.reopened"
    """A rejected or expired purchase can be paid again, or was paid after all."""
    SESSION_UPDATED = "session.updated"
    """Every change of a session, for those who keep a copy of it."""
    DELIVERY_SEEN = "delivery.seen"
    DELIVERY_CONFIRMED = "delivery.confirmed"
    DELIVERY_MISMATCH = "delivery.mismatch"
    DELIVERY_REORGED = "delivery.reorged"
    """The chain removed or replaced the block of the transfer."""
    PAYOUT_HELD = "payout.held"
    PAYOUT_AWAITING_APPROVAL = "payout.awaiting_approval"
    PAYOUT_FINAL = "payout.final"
    PAYOUT_REVERTED = "payout.reverted"
    SWEEP_PROPOSED = "sweep.proposed"
    SWEEP_AWAITING_APPROVAL = "sweep.awaiting_approval"
    SWEEP_HELD = "sweep.held"
    SWEEP_FINAL = "sweep.final"
    TREASURY_PAUSED = "treasury.paused"
    TREASURY_RESUMED = "treasury.resumed"
    TREASURY_POLICY_CHANGED = "treasury.policy_changed"
    TREASURY_BALANCE_LOW = "treasury.balance_low"
    """An alarm says that the hot wallet holds too little for what it has to pay."""
    TREASURY_CEILING_EXCEEDED = "treasury.ceiling_exceeded"
    """The hot wallet holds more than its ceiling, and a sweep of the excess was proposed."""
    ALARM_RAISED = "alarm.raised"
    ALARM_CLEARED = "alarm.cleared"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    WEBHOOK_TEST = "webhook.test"
    """An admin asked for it; sent to the tested endpoint only, whatever it subscribed to."""
    WEBHOOK_DISABLED = "webhook.disabled"
    """Another endpoint gets no more messages, because its receiver is gone or has failed for days."""


ALL_EVENTS: Final = "*"
"""What an endpoint subscribes to in place of a list of types: every type, later ones included."""
_E = EventType
TOPICS: Final[dict[EventType, tuple[str, ...]]] = {
    **{event: ("session",) for event in _E if event.startswith(("session.", "delivery."))},
    **{event: ("payout",) for event in _E if event.startswith("payout.")},
    **{event: ("sweep",) for event in _E if event.startswith("sweep.")},
    **{event: ("alarm",) for event in _E if event.startswith("alarm.")},
    **{event: ("key",) for event in _E if event.startswith("key.")},
    _E.TREASURY_PAUSED: ("pause",),
    _E.TREASURY_RESUMED: ("pause",),
    _E.TREASURY_POLICY_CHANGED: ("policy",),
    _E.TREASURY_BALANCE_LOW: ("alarm",),
    _E.TREASURY_CEILING_EXCEEDED: ("sweep",),
    # Written by the operation itself, not derived from a change.
    _E.WEBHOOK_TEST: (),
    _E.WEBHOOK_DISABLED: (),
}


def wants(events: Collection[str], event: EventType) -> bool:
    """Return whether a subscription to `events` includes this type. A test is never part of one."""
    return event is not EventType.WEBHOOK_TEST and (ALL_EVENTS in events or event in events)


def topics_of(events: Collection[str]) -> set[str]:
    """Return the topics of the outbox that a subscription to `events` needs."""
    return {topic for event, topics in TOPICS.items() if wants(events, event) for topic in topics}


ALL_TOPICS: Final = frozenset(topics_of([ALL_EVENTS]))
