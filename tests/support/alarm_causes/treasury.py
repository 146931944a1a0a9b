"""What the causes of the treasury's alarms are made of: a sender, its faults, and what persons do about them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from kit.audit.actor import Actor
from tests.support.fake_signer import KeySigner
from tests.support.hot_wallet import BUYER, CHAIN_ID, HOT_WALLET, MUSD, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.incidents import unmatched
from treasury.payouts import approvals
from treasury.signers.intent import TransferIntent

GWEI: Final = 10**9
FIRST, SECOND = Actor("key_anna", "anna"), Actor("key_bert", "bert")


async def run(world: TreasuryWorld, cycles: int = 3) -> None:
    await world.cycles(world.sender(), cycles)


async def use_key(world: TreasuryWorld, reference: bytes | None, to: str = BUYER, amount: int = 3 * MUSD) -> None:
    """Send a transaction of the wallet that this database did not make."""
    signer = KeySigner()
    signer.limits = replace(signer.limits, token=TOKEN, cold=to)
    nonce = world.chain.nonce
    intent = TransferIntent(CHAIN_ID, WALLET, nonce, TOKEN, to, amount, reference, 80_000, GWEI, 1)
    world.chain.accept((await signer.sign(intent)).raw)
    world.chain.mine()


async def explain(world: TreasuryWorld) -> None:
    """Explain every transaction that is unmatched, as a person does."""
    async with world.database.write() as conn:
        for row in await unmatched.list_open(conn, HOT_WALLET):
            assert await unmatched.resolve(conn, row.id, by="key_anna", note="known", now=world.clock.now())
    await run(world)


async def decide(world: TreasuryWorld, decision: Any, actor: Actor = SECOND, **more: Any) -> None:
    payout = await world.payout("ons_one")
    async with world.database.write() as conn:
        await decision(conn, payout.id, actor, now=world.clock.now(), **more)


async def retry(world: TreasuryWorld) -> None:
    for actor in (FIRST, SECOND):
        await decide(world, approvals.retry, actor, wallet=WALLET)
    await run(world)


@contextmanager
def changed(place: Any, **values: Any) -> Iterator[None]:
    """Change attributes until the block ends."""
    before = {name: getattr(place, name) for name in values}
    for name, value in values.items():
        setattr(place, name, value)
    yield
    for name, value in before.items():
        setattr(place, name, value)


async def hold(world: TreasuryWorld, place: Any, **values: Any) -> AsyncIterator[None]:
    """Owe a payout that waits while `place` has these values."""
    with changed(place, **values):
        await world.owe("ons_one")
        await run(world)
        yield
    await run(world, 6)


async def hold_sweep(world: TreasuryWorld, place: Any, **values: Any) -> AsyncIterator[None]:
    with changed(place, **values):
        await world.sweep()
        await run(world)
        yield
    await run(world, 6)
