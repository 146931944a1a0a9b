"""Which events follow from a change of a row. Pure: the row before (the columns that the outbox stores) and after to types of events."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from onramp.hooks.event_types import EventType
from onramp.sessions.model import purchase_status
from onramp.sessions.status import DeliveryStatus, SessionStatus
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.pause.states import PauseStatus
from treasury.policy.planner import OVER_CEILING
from treasury.policy.states import VersionStatus

Row = Mapping[str, Any]
_E = EventType
_ENDED_UNPAID: Final = frozenset({SessionStatus.REJECTED, SessionStatus.EXPIRED})
_OF_SESSION: Final[dict[SessionStatus, EventType]] = {
    SessionStatus.PROCESSING: _E.SESSION_PROCESSING,
    SessionStatus.DELIVERING: _E.SESSION_DELIVERING,
    SessionStatus.COMPLETED: _E.SESSION_COMPLETED,
    SessionStatus.REJECTED: _E.SESSION_REJECTED,
    SessionStatus.EXPIRED: _E.SESSION_EXPIRED,
    SessionStatus.ATTENTION: _E.SESSION_ATTENTION,
}
_OF_DELIVERY: Final[dict[str, EventType]] = {
    DeliveryStatus.SEEN: _E.DELIVERY_SEEN,
    DeliveryStatus.CONFIRMED: _E.DELIVERY_CONFIRMED,
    DeliveryStatus.MISMATCH: _E.DELIVERY_MISMATCH,
}
_OF_PAYOUT: Final[dict[str, EventType]] = {
    Status.HELD: _E.PAYOUT_HELD,
    Status.AWAITING_APPROVAL: _E.PAYOUT_AWAITING_APPROVAL,
    Status.FINAL: _E.PAYOUT_FINAL,
    Status.REVERTED: _E.PAYOUT_REVERTED,
}
_OF_SWEEP: Final[dict[str, EventType]] = {
    Status.HELD: _E.SWEEP_HELD,
    Status.AWAITING_APPROVAL: _E.SWEEP_AWAITING_APPROVAL,
    Status.FINAL: _E.SWEEP_FINAL,
}
BALANCE_ALARMS: Final = frozenset(
    {f"treasury.payout_{Reason.INSUFFICIENT}", f"treasury.sweep_{Reason.INSUFFICIENT}", "treasury.restore_insufficient"}
)
"""The alarms that say that the hot wallet holds too little."""


def events_of(topic: str, old: Row | None, new: Row) -> list[EventType]:
    """Return the events that follow from a change; `old` is None for a new row. An unknown topic has none."""
    derive = _BY_TOPIC.get(topic)
    return [] if derive is None else derive(old, new)


def _session(old: Row | None, new: Row) -> list[EventType]:
    events = [_E.SESSION_CREATED] if old is None else []
    before = SessionStatus.AWAITING_PAYMENT if old is None else _status(old)
    after = _status(new)
    if before in _ENDED_UNPAID and after not in _ENDED_UNPAID:
        events.append(_E.SESSION_REOPENED)
    if before is not after and after in _OF_SESSION:
        events.append(_OF_SESSION[after])
    return [*events, *_delivery(old, new), _E.SESSION_UPDATED]


def _status(row: Row) -> SessionStatus:
    return purchase_status(
        row["payment_status"], row["delivery_status"], overdue=bool(row["overdue"]), attention=row["attention"]
    )


def _delivery(old: Row | None, new: Row) -> list[EventType]:
    before = DeliveryStatus.AWAITING if old is None else old["delivery_status"]
    after = new["delivery_status"]
    block = None if old is None else old.get("block_hash")
    went_back = before != after and (
        after == DeliveryStatus.AWAITING or (before == DeliveryStatus.CONFIRMED and after == DeliveryStatus.SEEN)
    )
    moved = block is not None and new.get("block_hash") != block and before != DeliveryStatus.MISMATCH
    events = [_E.DELIVERY_REORGED] if went_back or moved else []
    if before != after and not went_back and after in _OF_DELIVERY:
        events.append(_OF_DELIVERY[after])
    return events


def _changed(old: Row | None, new: Row, column: str = "status") -> bool:
    return old is None or old[column] != new[column]


def _payout(old: Row | None, new: Row) -> list[EventType]:
    event = _OF_PAYOUT.get(new["status"])
    return [event] if event is not None and _changed(old, new) else []


def _sweep(old: Row | None, new: Row) -> list[EventType]:
    events = [_E.SWEEP_PROPOSED] if old is None else []
    if old is None and new["purpose"] == OVER_CEILING:
        events.append(_E.TREASURY_CEILING_EXCEEDED)
    event = _OF_SWEEP.get(new["status"])
    return [*events, event] if event is not None and _changed(old, new) else events


def _pause(old: Row | None, new: Row) -> list[EventType]:
    if not _changed(old, new):
        return []
    return [_E.TREASURY_PAUSED if new["status"] == PauseStatus.PAUSED else _E.TREASURY_RESUMED]


def _policy(old: Row | None, new: Row) -> list[EventType]:
    is_active = new["status"] == VersionStatus.ACTIVE
    return [_E.TREASURY_POLICY_CHANGED] if is_active and _changed(old, new) else []


def _key(old: Row | None, new: Row) -> list[EventType]:
    events = [_E.KEY_CREATED] if old is None else []
    revoked = new["revoked_at"] is not None and (old is None or old["revoked_at"] is None)
    return [*events, _E.KEY_REVOKED] if revoked else events


def _alarm(old: Row | None, new: Row) -> list[EventType]:
    events = [_E.ALARM_RAISED] if old is None else []
    if old is None and new["name"] in BALANCE_ALARMS:
        events.append(_E.TREASURY_BALANCE_LOW)
    ended = new["ended_at"] is not None and (old is None or old["ended_at"] is None)
    return [*events, _E.ALARM_CLEARED] if ended else events


_BY_TOPIC: Final[dict[str, Callable[[Row | None, Row], list[EventType]]]] = {
    "session": _session,
    "payout": _payout,
    "sweep": _sweep,
    "pause": _pause,
    "policy": _policy,
    "key": _key,
    "alarm": _alarm,
}
