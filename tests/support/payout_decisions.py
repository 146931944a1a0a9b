"""Carry out a person's decision about a payout, and payouts that need one."""

from collections.abc import Awaitable, Callable

import pytest

from chain.reads.transfer_proof import Proven
from chain.types import BlockRef, Transfer, to_checksum
from kit.audit.actor import Actor
from kit.http.problems import Problem
from tests.support.hot_wallet import BUYER, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.payouts import approvals
from treasury.payouts.model import Payout
from treasury.sender import Sender

ANOTHER_WALLET = to_checksum("0x" + "e1" * 20)


async def decide(
    world: TreasuryWorld,
    decision: Callable[..., Awaitable[Payout]],
    session: str,
    person: str = "anna",
    **facts: object,
) -> Payout:
    """Carry out a decision about the payout of a session as `person`."""
    payout = await world.payout(session)
    if decision is approvals.retry:
        facts.setdefault("wallet", WALLET)
    async with world.database.write() as conn:
        return await decision(conn, payout.id, Actor(f"key_of_{person}", person), now=world.clock.now(), **facts)


async def refusal_code(
    world: TreasuryWorld,
    decision: Callable[..., Awaitable[Payout]],
    session: str,
    person: str = "anna",
    **facts: object,
) -> str:
    """Return the code with which the decision is refused."""
    with pytest.raises(Problem) as problem:
        await decide(world, decision, session, person, **facts)
    return problem.value.code


async def reverted_payout(world: TreasuryWorld, session: str = "ons_one") -> Sender:
    """Let the payment of a session fail on chain; return the sender."""
    await world.owe(session)
    sender = world.sender()
    world.chain.reverts = True
    await world.cycles(sender, 3)
    world.chain.reverts = False
    assert await world.status(session) is Status.REVERTED
    return sender


def proof(amount: int, tx_hash: str = "0x" + "ab" * 32, sender: str = ANOTHER_WALLET) -> Proven:
    """Return the proof that `amount` arrived at the buyer."""
    moved = Transfer(TOKEN, sender, BUYER, amount, tx_hash, 0, BlockRef(7, "0x" + "07" * 32))
    return Proven(moved, 3, ("one", "two"))
