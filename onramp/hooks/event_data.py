"""The `data` of each type of event, and the models that describe it in the OpenAPI document.

For `session.*` and `delivery.*` it is the session exactly as `GET` returned it at that version. The other data name ids, states, amounts and
times, and no person.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import Field

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import format_units
from kit.outbox.service import Change
from onramp.alarms.catalog import CATALOG
from onramp.hooks.event_types import TOPICS, EventType
from onramp.sessions.model import from_change
from onramp.sessions.schemas import SessionResponse, session_json
from treasury.core.assets import MUSD_DECIMALS


class PayoutData(Document):
    """The `data` of `payout.*`: a payout at that moment, without its history."""

    id: str
    session_id: str
    asset: str
    amount: str
    to: str
    status: str
    reason: str | None = Field(description="Why it is held or waits.")
    transaction_id: str | None
    tx_hash: str | None
    created_at: str
    updated_at: str


class SweepData(Document):
    """The `data` of `sweep.*` and of `treasury.ceiling_exceeded`: a sweep at that moment, without its history."""

    id: str
    asset: str
    amount: str
    to: str
    status: str
    reason: str = Field(description="Why it is held or waits; if nothing holds it, why it was planned.")
    proposed_by: str
    approved_by: str | None
    transaction_id: str | None
    tx_hash: str | None
    created_at: str
    updated_at: str


class PauseData(Document):
    """The `data` of `treasury.paused` and `treasury.resumed`."""

    scope: str = Field(description="`sales`, `payouts` or `sweeps`.")
    status: str = Field(description="`paused` or `running`.")
    by: str = Field(description="The id of the key that ordered it.")
    at: str


class PolicyData(Document):
    """The `data` of `treasury.policy_changed`: the version that is active now."""

    id: str
    version: int
    loosens: list[str] = Field(description="The rules that it loosened.")
    proposed_by: str
    approved_by: str | None
    updated_at: str


class KeyData(Document):
    """The `data` of `key.*`: an API key, without its secret and its person."""

    id: str
    name: str
    role: str
    created_at: str
    revoked_at: str | None


class AlarmData(Document):
    """The `data` of `alarm.*` and of `treasury.balance_low`."""

    id: str
    name: str = Field(description="Such as `delivery.overdue`; the runbook lists all.")
    severity: str = Field(description="`page`, `ticket` or `info`.")
    subject: str = Field(description="The id of what it is about.")
    sentence: str = Field(description="What happened.")
    raised_at: str
    ended_at: str | None


class TestData(Document):
    """The `data` of `webhook.test`."""

    __test__ = False
    endpoint_id: str = Field(description="The endpoint that is tested.")


class DisabledData(Document):
    """The `data` of `webhook.disabled`: another endpoint, to which nothing is sent any more."""

    endpoint_id: str
    host: str = Field(description="The host of its URL.")
    reason: str = Field(
        description="`gone` (its receiver answered 410), `failing` (no success for five days) or `secret_unreadable`."
    )
    disabled_at: str


_MODELS: Final[dict[str, type[Document]]] = {
    "session": SessionResponse,
    "payout": PayoutData,
    "sweep": SweepData,
    "pause": PauseData,
    "policy": PolicyData,
    "key": KeyData,
    "alarm": AlarmData,
}
DATA_MODELS: Final[Mapping[EventType, type[Document]]] = {
    event: _MODELS[topics[0]] for event, topics in TOPICS.items() if topics
} | {EventType.WEBHOOK_TEST: TestData, EventType.WEBHOOK_DISABLED: DisabledData}
"""The model that describes the `data` of each type of event."""


def data_of(change: Change, explorer: str | None) -> Mapping[str, Any]:
    """Return the `data` of the events that follow from a change, as JSON. `explorer` is the URL of the block explorer, if there is one."""
    match change.topic:
        case "session":
            return session_json(from_change(change.new), explorer)
        case "payout":
            return _json(_payout(change.new))
        case "sweep":
            return _json(_sweep(change.new))
        case "pause":
            row = change.new
            return _json(PauseData(scope=row["id"], status=row["status"], by=row["actor"], at=_time(row, "at")))
        case "policy":
            return _json(_policy(change.new))
        case "key":
            return _json(_key(change.new))
        case "alarm":
            return _json(_alarm(change.new))
        case _:
            raise ValueError(f"no event is about {change.topic}")


def _json(document: Document) -> Mapping[str, Any]:
    return document.model_dump(by_alias=True)


def _time(row: Mapping[str, Any], name: str) -> str:
    return rfc3339(datetime.fromisoformat(row[name]))


def _payout(row: Mapping[str, Any]) -> PayoutData:
    return PayoutData(
        id=row["id"],
        session_id=row["session_id"],
        asset=row["asset"],
        amount=format_units(int(row["amount"]), MUSD_DECIMALS),
        to=row["to_address"],
        status=row["status"],
        reason=row["reason"],
        transaction_id=row["transaction_id"],
        tx_hash=row["tx_hash"],
        created_at=_time(row, "created_at"),
        updated_at=_time(row, "updated_at"),
    )


def _sweep(row: Mapping[str, Any]) -> SweepData:
    return SweepData(
        id=row["id"],
        asset=row["asset"],
        amount=format_units(int(row["amount"]), row["decimals"]),
        to=row["to_address"],
        status=row["status"],
        reason=row["reason"] or row["purpose"],
        proposed_by=row["proposed_by"],
        approved_by=row["approved_by"],
        transaction_id=row["transaction_id"],
        tx_hash=row["tx_hash"],
        created_at=_time(row, "created_at"),
        updated_at=_time(row, "updated_at"),
    )


def _policy(row: Mapping[str, Any]) -> PolicyData:
    return PolicyData(
        id=row["id"],
        version=row["version"],
        loosens=row["loosens"].split(",") if row["loosens"] else [],
        proposed_by=row["proposed_by"],
        approved_by=row["approved_by"],
        updated_at=_time(row, "updated_at"),
    )


def _key(row: Mapping[str, Any]) -> KeyData:
    return KeyData(
        id=row["id"],
        name=row["name"],
        role=row["role"],
        created_at=_time(row, "created_at"),
        revoked_at=_time(row, "revoked_at") if row["revoked_at"] else None,
    )


def _alarm(row: Mapping[str, Any]) -> AlarmData:
    definition = CATALOG.get(row["name"])
    return AlarmData(
        id=row["id"],
        name=row["name"],
        severity=definition.severity if definition else "page",
        subject=row["subject"],
        sentence=definition.sentence if definition else "The runbook says what this alarm means.",
        raised_at=_time(row, "raised_at"),
        ended_at=_time(row, "ended_at") if row["ended_at"] else None,
    )
