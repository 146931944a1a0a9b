"""Each queued payout shows why it waits, and the reason goes when the cause does."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support.hot_wallet import MUSD
from tests.support.payout_rows import change, owe, paid, sender_of
from tests.support.treasury_world import TreasuryWorld
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.payouts import queue
from treasury.payouts.table import payouts as payouts_table
from treasury.sender import Sender

QUEUE = [f"ons_{number}" for number in range(4)]


async def reasons(world: TreasuryWorld) -> set[str | None]:
    return {(await world.payout(session)).reason for session in QUEUE}


async def steps(world: TreasuryWorld, sender: Sender, count: int) -> None:
    """Run cycles until nothing more is due; by then a nonce without a signature is released."""
    await world.cycles(sender, count)
    for _ in range(2):
        while await sender.step():
            pass


async def test_payouts_behind_one_without_funds_show_it_and_wait_though_they_are_small(world: TreasuryWorld) -> None:
    world.chain.balance = 10 * MUSD
    await owe(world, QUEUE[0], amount=20 * MUSD)
    await owe(world, *QUEUE[1:], amount=MUSD)
    sender = world.sender()
    await world.cycles(sender, 3)
    assert world.signer.requests == [], "the first paid is the first to be paid"
    assert await reasons(world) == {"insufficient"}
    assert [await world.status(one) for one in QUEUE] == [Status.HELD, *[Status.PLANNED] * 3]
    assert world.metrics.alarms["payout_insufficient"] == 1
    await owe(world, "ons_late", amount=MUSD)
    await sender.step()
    assert (await world.payout("ons_late")).reason == "insufficient", "one that comes later, too"
    world.chain.balance += 100 * MUSD
    await sender.step()
    assert {(await world.payout(one)).reason for one in [*QUEUE, "ons_late"]} == {None}
    await world.cycles(sender, 12)
    assert await paid(world) == [*QUEUE, "ons_late"]


def _gas(world: TreasuryWorld) -> None:
    world.chain.native = 1


def _fee(world: TreasuryWorld) -> None:
    world.chain.fee = 60 * 10**9


def _signer(world: TreasuryWorld) -> None:
    world.signer.down = True


def _stripe(world: TreasuryWorld) -> None:
    world.stripe.down = True


def _nodes(world: TreasuryWorld) -> None:
    world.chain.unreachable = True


def _pause(world: TreasuryWorld) -> None:
    world.pause.payouts = True


def _well(world: TreasuryWorld) -> None:
    chain = world.chain
    chain.native, chain.fee, chain.unreachable = 10**18, 10**9, False
    world.signer.down = world.stripe.down = world.pause.payouts = False


CAUSES: list[tuple[Callable[[TreasuryWorld], None], str]] = [
    (_gas, "insufficient"),
    (_fee, "fee_ceiling"),
    (_signer, "signer_unavailable"),
    (_stripe, "proof_unavailable"),
    (_nodes, "waiting_for_second_node"),
    (_pause, "payouts_paused"),
]


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize(("cause", "reason"), CAUSES, ids=[reason for _, reason in CAUSES])
async def test_the_cause_that_blocks_the_queue_is_shown_on_each_payout_and_removed(
    world: TreasuryWorld, cause: Callable[[TreasuryWorld], None], reason: str, depth: int
) -> None:
    await owe(world, *QUEUE)
    sender = sender_of(world, depth)
    cause(world)
    await steps(world, sender, 4)
    assert await reasons(world) == {reason}
    await steps(world, world.sender(max_in_flight=depth), 2)
    assert await reasons(world) == {reason}, "another process says the same"
    _well(world)
    await world.cycles(sender, 20)
    assert [await world.status(one) for one in QUEUE] == [Status.FINAL] * 4
    assert await reasons(world) == {None}


async def test_each_payout_shows_that_signing_is_stopped_for_the_wallet(world: TreasuryWorld) -> None:
    await owe(world, "ons_before")
    sender = world.sender()
    await world.cycles(sender, 3)
    world.chain.nonce += 1  # someone else used the key
    await owe(world, *QUEUE)
    await world.cycles(sender, 1)
    assert await reasons(world) == {"signing_stopped"}, "while its transaction is searched"
    await world.cycles(sender, 6)
    assert await reasons(world) == {"signing_stopped"}, "and once it is written down"
    assert world.metrics.is_stopped


async def test_payouts_behind_a_stalled_transaction_show_why(world: TreasuryWorld) -> None:
    await owe(world, "ons_first")
    sender = world.sender()
    world.chain.deaf = True
    await world.cycles(sender, 3)
    await owe(world, *QUEUE)
    await world.cycles(sender, 2)
    assert await reasons(world) == {"waiting_for_second_node"}


async def test_queued_payouts_show_the_queue_or_that_no_process_leads(world: TreasuryWorld) -> None:
    await owe(world, *QUEUE)
    sender = world.sender(lease_seconds=30)
    await sender.step()
    async with world.database.read() as conn:
        lead = await queue.leadership(conn)
    assert [lead.with_reason(await world.payout(one)).reason for one in QUEUE] == [None, *["queued"] * 3]
    await sender.stop()
    async with world.database.read() as conn:
        lead = await queue.leadership(conn)
    assert lead.with_reason(await world.payout(QUEUE[-1])).reason == Reason.NO_LEADER


async def test_a_reason_is_written_once_and_read_while_it_lasts(world: TreasuryWorld) -> None:
    """No row is written again for the same reason, however many payouts wait."""
    world.chain.balance = 0
    await owe(world, *QUEUE)
    sender = world.sender()
    await world.cycles(sender, 2)
    moments = {(await world.payout(one)).updated_at for one in QUEUE}
    written = await _versions(world)
    await world.cycles(sender, 4)
    assert await _versions(world) == written
    assert {(await world.payout(one)).updated_at for one in QUEUE} == moments


async def _versions(world: TreasuryWorld) -> list[Any]:
    """Return Postgres' count of writes for each row; SQLite has none."""
    async with world.database.read() as conn:
        column = "xmin::text" if conn.dialect.name == "postgresql" else "updated_at"
        return list((await conn.execute(sa.text(f"SELECT id, {column} FROM treasury_payouts ORDER BY id"))).fetchall())


@pytest.mark.parametrize("status", ["planned", "approved"])
async def test_a_reason_left_by_an_earlier_process_does_not_stay(world: TreasuryWorld, status: str) -> None:
    await owe(world, *QUEUE)
    for session in QUEUE:
        await change(world, session, reason="waiting_for_second_node", status=status)
    sender: Sender = world.sender()
    await sender.step()
    assert await reasons(world) == {None}
    assert payouts_table.c.reason is not None
