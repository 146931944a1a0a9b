"""The treasury in the shapes of the outside: money as decimal text in units of the asset, addresses in EIP-55."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import format_units
from onramp.treasury.schemas.ledger import AccountsResponse
from treasury.core.asset_policy import AssetPolicy
from treasury.core.assets import MUSD_DECIMALS
from treasury.core.available import Available
from treasury.core.history import HistoryEntry
from treasury.core.status import Status
from treasury.payouts.model import Payout
from treasury.settlements.model import Settlement
from treasury.sweeps.model import Sweep
from treasury.transactions.model import Transaction

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR: Final = re.compile(r"([0-9]{1,17})\.([a-z]{3}_[A-Za-z0-9]{1,60})", re.ASCII)


def _cursor(text: str) -> str:
    if _CURSOR.fullmatch(text) is None:
        message = "is no cursor of ours: take nextCursor as it came"
        raise ValueError(message)
    return text


class CursorQuery(Document):
    """A page, the newest first."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: Annotated[str, AfterValidator(_cursor)] | None = None

    @property
    def before(self) -> tuple[datetime, str] | None:
        """Created when, and the id, of the last one seen."""
        match = None if self.cursor is None else _CURSOR.fullmatch(self.cursor)
        return None if match is None else (_EPOCH + timedelta(microseconds=int(match[1])), match[2])


class PageQuery(CursorQuery):
    """A page of payouts or sweeps."""

    status: Status | None = Field(default=None, description="Only those in this state.")


def next_cursor(found: list[Payout] | list[Sweep] | list[Settlement], limit: int) -> str | None:
    """Where the next page begins, out of up to `limit` + 1 rows; None for the last page."""
    if len(found) <= limit:
        return None
    last = found[limit - 1]
    return f"{(last.created_at - _EPOCH) // timedelta(microseconds=1)}.{last.id}"


class Line(Document):
    """One change of state; `from` is null for the first, `by` a key's id or a worker's name."""

    at: str
    from_status: str | None = Field(alias="from")
    to_status: str = Field(alias="to")
    by: str
    note: str


class PayoutResponse(Document):
    """What one buyer is owed; `retryBy` asked for another attempt and waits for a second person."""

    id: str
    session_id: str
    asset: str
    amount: str
    to: str
    status: str
    reason: str | None
    proposed_by: str
    approved_by: str | None
    retry_by: str | None
    transaction_id: str | None
    tx_hash: str | None
    created_at: str
    updated_at: str
    history: list[Line]


class PayoutPage(Document):
    """The newest first."""

    data: list[PayoutResponse]
    next_cursor: str | None


class SweepResponse(Document):
    """One movement to the cold wallet; `reason` says why it waits, or else why it was planned."""

    id: str
    kind: str
    asset: str
    amount: str
    to: str
    status: str
    reason: str
    proposed_by: str
    approved_by: str | None
    policy_version: str
    expires_at: str | None
    transaction_id: str | None
    tx_hash: str | None
    created_at: str
    updated_at: str
    history: list[Line]


class SweepPage(Document):
    """The newest first."""

    data: list[SweepResponse]
    next_cursor: str | None


class AttemptResponse(Document):
    """One signature; `maxFeePerGas` in wei, null for a transaction found on chain."""

    hash: str
    max_fee_per_gas: str | None
    signed_at: str
    signer_request_id: str | None
    broadcasts: int


class TransactionResponse(Document):
    """One nonce and what it is for; `nonce` is null once it was given back, `stall` says why it does not get on."""

    id: str
    wallet: str
    nonce: int | None
    status: str
    stall: str | None
    operation_id: str
    token: str
    to: str
    amount: str
    attempts: list[AttemptResponse]
    block_number: int | None
    created_at: str
    updated_at: str
    history: list[Line]


class BalanceResponse(Document):
    """One asset of the hot wallet at the block that enough operators agreed on; null before the first reading."""

    asset: str
    on_chain: str
    held: str
    available: str
    floor: str | None
    target: str | None
    ceiling: str | None
    block_number: int | None


class BalanceList(Document):
    """Every asset; `earlier`: what the ledger still has of wallets paid from before."""

    data: list[BalanceResponse]
    earlier: list[AccountsResponse]
    next_cursor: str | None


def lines(entries: list[HistoryEntry]) -> list[Line]:
    """History as it is shown."""
    return [
        Line(at=rfc3339(one.at), from_status=one.from_status, to_status=one.to_status, by=one.by, note=one.note)
        for one in entries
    ]


def payout(row: Payout, entries: list[HistoryEntry]) -> PayoutResponse:
    """One payout."""
    return PayoutResponse(
        id=row.id,
        session_id=row.session_id,
        asset=row.asset,
        amount=format_units(row.amount, MUSD_DECIMALS),
        to=row.to,
        status=row.status,
        reason=row.reason,
        proposed_by=entries[0].by if entries else "treasury",
        approved_by=row.approved_by,
        retry_by=row.retry_by,
        transaction_id=row.transaction_id,
        tx_hash=row.tx_hash,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
        history=lines(entries),
    )


def sweep(row: Sweep, entries: list[HistoryEntry]) -> SweepResponse:
    """One sweep."""
    return SweepResponse(
        id=row.id,
        kind=row.kind,
        asset=row.asset,
        amount=format_units(row.amount, row.decimals),
        to=row.to,
        status=row.status,
        reason=row.reason or row.purpose,
        proposed_by=row.proposed_by,
        approved_by=row.approved_by,
        policy_version=row.policy_version,
        expires_at=rfc3339(row.expires_at) if row.expires_at else None,
        transaction_id=row.transaction_id,
        tx_hash=row.tx_hash,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
        history=lines(entries),
    )


def transaction(row: Transaction, entries: list[HistoryEntry], decimals: int = MUSD_DECIMALS) -> TransactionResponse:
    """One transaction with its signatures; `decimals` of what it moves."""
    return TransactionResponse(
        id=row.id,
        wallet=row.wallet,
        nonce=row.nonce,
        status=row.status,
        stall=row.stall,
        operation_id=row.operation_id,
        token=row.token,
        to=row.to,
        amount=format_units(row.amount, decimals),
        attempts=[
            AttemptResponse(
                hash=one.hash,
                max_fee_per_gas=None if one.max_fee is None else str(one.max_fee),
                signed_at=rfc3339(one.signed_at),
                signer_request_id=one.signer_request_id,
                broadcasts=one.broadcasts,
            )
            for one in row.attempts
        ],
        block_number=row.block_number,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
        history=lines(entries),
    )


def balance(asset: AssetPolicy, found: Available) -> BalanceResponse:
    """One asset, beside what the policy wants of it."""

    def units(amount: int | None) -> str | None:
        return None if amount is None else format_units(amount, asset.decimals)

    return BalanceResponse(
        asset=asset.symbol,
        on_chain=format_units(found.on_chain, asset.decimals),
        held=format_units(found.reserved, asset.decimals),
        available=format_units(found.available, asset.decimals),
        floor=units(asset.floor),
        target=units(asset.target),
        ceiling=units(asset.ceiling),
        block_number=found.block_number,
    )
