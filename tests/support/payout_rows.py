"""Payouts in the database of a `TreasuryWorld`: made by the service, or written and changed behind its back."""

from typing import Any

import sqlalchemy as sa

from chain.types import keccak, to_checksum
from tests.support.hot_wallet import MUSD, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.payouts.table import payouts as payouts_table
from treasury.sender import Sender
from treasury.transactions.table import transactions as transactions_table

FORGED = {
    "id": "pay_forged", "session_id": "ons_forged", "stripe_session_id": "cos_forged", "wallet": WALLET, "asset": "MUSD",
    "token": TOKEN, "to_address": to_checksum("0x" + "66" * 20), "reference": "0x" + keccak(b"ons_forged").hex(),
}  # fmt: skip
"""A payout of a session that does not exist."""


async def owe(world: TreasuryWorld, *sessions: str, **options: Any) -> None:
    """Create a payout for each session, a second apart; `options` as for `TreasuryWorld.owe`."""
    for session in sessions:
        world.clock.seconds += 1
        await world.owe(session, **options)


async def insert(world: TreasuryWorld, status: str, **values: object) -> None:
    """Insert a forged payout, as someone does who can write into the database and nothing else: without history and ledger."""
    now = world.clock.now()
    row = {**FORGED, "amount": 7 * MUSD, "status": status, "created_at": now, "updated_at": now, **values}
    async with world.database.write() as conn:
        await conn.execute(sa.insert(payouts_table).values(**row))


async def change(world: TreasuryWorld, session: str, **values: Any) -> None:
    """Change the row of a session's payout behind the service's back."""
    async with world.database.write() as conn:
        await conn.execute(sa.update(payouts_table).where(payouts_table.c.session_id == session).values(**values))


async def paid(world: TreasuryWorld) -> list[str]:
    """Return the sessions that were paid, in the order of nonces."""
    async with world.database.read() as conn:
        query = sa.select(payouts_table.c.session_id).join(
            transactions_table, transactions_table.c.id == payouts_table.c.transaction_id
        )
        return list((await conn.execute(query.order_by(transactions_table.c.nonce))).scalars())


def sender_of(world: TreasuryWorld, depth: int, **options: Any) -> Sender:
    """Return a sender with `depth` transactions in flight, and let the node keep as many."""
    world.chain.room = depth
    return world.sender(max_in_flight=depth, **options)
