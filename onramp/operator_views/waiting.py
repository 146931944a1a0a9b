"""What waits for a person, as values, each read from the package that owns it.

Nothing here decides anything: the command itself checks again who may approve.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.money import format_units
from kit.persons import same_person
from onramp.auth.api_keys import makers
from onramp.auth.api_keys import service as api_keys_service
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS
from treasury.core.hot_wallets import HotWallet
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.incidents import service as incidents_service
from treasury.incidents import unmatched
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account
from treasury.pause import service as pause_service
from treasury.payouts import queries as payout_queries
from treasury.payouts.model import Payout
from treasury.policy import service as policy_service
from treasury.policy.version import Version
from treasury.settlements import queries as settlement_queries
from treasury.settlements.model import Settlement
from treasury.settlements.states import SettlementStatus
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import SweepKind

MAX_ROWS: Final = 200
"""The most payouts, and the most sweeps, that are listed; the oldest come first."""
_PROPOSED: Final = "You proposed it; another approver decides."


@dataclass(frozen=True, slots=True)
class Waiting:
    """One decision that waits for a person."""

    action: str
    """The command that decides it, such as `sweep.approve`."""
    subject: str
    sentence: str
    """What the command would do, with its whole amount and address."""
    by: str | None = None
    """Who proposed it: the id of a key, or a worker's name; None if nobody has yet."""
    at: datetime | None = None
    expires_at: datetime | None = None
    excluded: Collection[str] = ()
    """The persons who may not decide it."""
    why_excluded: str = _PROPOSED

    def refusal(self, person: str) -> str | None:
        """Return why this person may not decide it; None if they may."""
        return self.why_excluded if any(same_person(other, person) for other in self.excluded) else None


async def everything(
    conn: AsyncConnection, wallet: HotWallet | None, decimals: Mapping[str, int], now: datetime
) -> list[Waiting]:
    """Return everything that waits for a person, the oldest first. `decimals` are those of the policy's assets, by symbol."""
    rows = [_payout(row) for row in await payout_queries.for_persons(conn, MAX_ROWS)]
    rows += [_sweep(row) for row in await sweeps_service.awaiting_approval(conn, MAX_ROWS)]
    rows += [_settlement(row) for row in await settlement_queries.for_persons(conn)]
    if wallet is not None:
        rows += [_version(row) for row in await policy_service.proposed(conn, wallet.key, now)]
        rows += await _incidents(conn, wallet, decimals)
    rows += await _keys(conn, now)
    rows += await _pauses(conn)
    return sorted(rows, key=lambda row: (row.at is None, row.at.timestamp() if row.at else 0.0, row.subject))


def _payout(row: Payout) -> Waiting:
    amount = f"{format_units(row.amount, MUSD_DECIMALS)} {row.asset} to {row.to} for the purchase {row.session_id}"
    if row.status is Status.AWAITING_APPROVAL:
        sentence = f"Pay {amount}. It is above a limit of the policy."
        return Waiting("payout.approve", row.id, sentence, "treasury", row.created_at)
    if row.status is Status.HELD and row.reason == Reason.SCREENING:
        sentence = f"Pay {amount}, although the recipient is on the sanctions list."
        return Waiting("payout.approve", row.id, sentence, "treasury", row.created_at)
    sentence = f"Try again to pay {amount}. The last attempt was {row.status}, and the buyer is unpaid."
    if row.retry_person is None:
        return Waiting("payout.retry", row.id, sentence, None, row.updated_at)
    return Waiting("payout.retry", row.id, sentence, row.retry_by, row.updated_at, excluded=(row.retry_person,))


def _sweep(row: Sweep) -> Waiting:
    amount = f"{format_units(row.amount, row.decimals)} {row.asset}"
    what = "Empty the hot wallet: move" if row.kind is SweepKind.PANIC else "Move"
    return Waiting(
        "sweep.approve",
        row.id,
        f"{what} {amount} from {row.wallet} to the Safe {row.to}: {row.purpose}.",
        row.proposed_by,
        row.created_at,
        row.expires_at,
        excluded=(row.proposed_person,),
    )


def _version(row: Version) -> Waiting:
    rules = ", ".join(row.loosens)
    persons = "one more person" if row.proposed_person else "two persons"
    return Waiting(
        "policy.approve",
        row.id,
        f"Apply version {row.version} of the treasury policy, which loosens {rules}; it takes {persons}.",
        row.proposed_by,
        row.created_at,
        row.created_at + policy_service.FRESH,
        excluded=() if row.proposed_person is None else (row.proposed_person,),
    )


def _settlement(row: Settlement) -> Waiting:
    amount = f"{format_units(row.amount, USDC_DECIMALS)} USDC of the transaction {row.tx_hash}"
    if row.status is SettlementStatus.AWAITING:
        sentence = f"Count {amount} as arrived. Its chain has not shown the transfer."
        return Waiting(
            "settlement.confirm", row.id, sentence, row.asked_by, row.created_at, excluded=(row.asked_person,)
        )
    persons = () if row.reversal_person is None else (row.reversal_person,)
    sentence = f"Reverse the settlement of {amount}."
    return Waiting("settlement.reverse", row.id, sentence, row.reversal_by, row.updated_at, excluded=persons)


async def _incidents(conn: AsyncConnection, wallet: HotWallet, decimals: Mapping[str, int]) -> list[Waiting]:
    proposed = await incidents_service.proposed(conn, wallet)
    rows = []
    for symbol, places in decimals.items():
        missing = (await ledger_service.balances(conn, wallet.address, symbol)).get(Account.SUSPENSE, 0)
        if missing <= 0:
            continue
        said = proposed.get(symbol)
        sentence = f"Write off {format_units(missing, places)} {symbol} that left the hot wallet without a row."
        if said is None or said.amount != missing:
            rows.append(Waiting("incident.answer", symbol, f"{sentence} Nobody has explained it yet."))
        else:
            sentence = f"{sentence} The explanation: {said.note}"
            rows.append(
                Waiting("incident.answer", symbol, sentence, said.asked_by, said.at, excluded=(said.asked_person,))
            )
    for transaction in await unmatched.list_open(conn, wallet):
        said = proposed.get(transaction.id)
        sentence = f"Take responsibility for the transaction with the nonce {transaction.nonce} that this service did not send."
        if said is None:
            sentence = f"{sentence} Nobody has explained it yet."
            rows.append(Waiting("incident.answer", transaction.id, sentence, None, transaction.noticed_at))
        else:
            sentence = f"{sentence} The explanation: {said.note}"
            rows.append(
                Waiting(
                    "incident.answer", transaction.id, sentence, said.asked_by, said.at, excluded=(said.asked_person,)
                )
            )
    return rows


async def _keys(conn: AsyncConnection, now: datetime) -> list[Waiting]:
    rows = []
    for key in await api_keys_service.unconfirmed(conn, now):
        persons = {key.person, *await makers.of_key(conn, key.id, now)}
        rows.append(
            Waiting(
                "key.confirm",
                key.id,
                f"Let the key {key.name} of {key.person} work now, with the role {key.role}. Otherwise it works by itself later.",
                key.made_by,
                key.made_at,
                key.active_from,
                excluded=persons,
                why_excluded="It is your key, or you made it; an approver of another person confirms it.",
            )
        )
    return rows


async def _pauses(conn: AsyncConnection) -> list[Waiting]:
    return [
        Waiting(
            "pause.resume",
            pause.scope,
            f"Resume {pause.scope}." + (f" They were paused with the note: {pause.note}" if pause.note else ""),
            pause.by,
            pause.at,
            excluded=(pause.person,),
            why_excluded="You paused it; another approver resumes it.",
        )
        for pause in (await pause_service.current(conn)).ordered
    ]
