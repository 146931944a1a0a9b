"""Matching transfers with sessions: each transfer once, the exact amount first, and with work only for what is new."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from chain.types import BlockRef, Transfer
from kit.clock import SystemClock
from kit.db.database import Database, connect
from onramp.bootstrap.factories import session_config
from onramp.config.loader import load
from onramp.deliveries import service as deliveries_service
from onramp.deliveries.states import Arrived, Owed, match
from onramp.deliveries.table import transfers
from onramp.deliveries.transfer_matcher import TransferMatcher
from onramp.sessions.table import sessions
from tests.support.paid_sessions import BUYER, OBSERVE_CONFIG, OTHER, insert_paid_sessions
from tests.support.receipts import TOKEN, WALLET
from treasury.payouts.table import payouts

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def owed(number: int, units: int, **more: Any) -> Owed:
    paid = NOON + timedelta(seconds=number)
    return Owed(f"ons_{number}", 1, BUYER, units, 0, paid, observes=True)._replace(**more)


def arrived(number: int, units: int, **more: Any) -> Arrived:
    return Arrived(f"t{number}", BUYER, units, WALLET, f"0x{number:064x}", 0, number, "0x00")._replace(**more)


def pairs(sessions: list[Owed], found: list[Arrived], tolerance_bps: int = 0) -> dict[str, str]:
    return {one.owed.id: one.arrived.id for one in match(sessions, found, tolerance_bps)}


def test_the_right_amount_comes_before_an_older_transfer() -> None:
    assert pairs([owed(1, 5)], [arrived(1, 4), arrived(2, 5)]) == {"ons_1": "t2"}


def test_the_first_paid_chooses_first_and_each_transfer_serves_once() -> None:
    assert pairs([owed(2, 5), owed(1, 5)], [arrived(9, 5)]) == {"ons_1": "t9"}
    assert pairs([owed(2, 5), owed(1, 5)], [arrived(9, 5), arrived(8, 5)]) == {"ons_1": "t8", "ons_2": "t9"}


def test_another_amount_is_taken_unless_another_session_of_the_wallet_waits_for_it() -> None:
    assert pairs([owed(1, 5)], [arrived(1, 4)]) == {"ons_1": "t1"}
    assert pairs([owed(1, 5), owed(2, 4)], [arrived(1, 4)]) == {"ons_2": "t1"}
    assert pairs([owed(1, 5), owed(2, 4, observes=False)], [arrived(1, 4)]) == {}


def test_only_the_wallets_own_and_only_above_the_block_the_session_was_made_at() -> None:
    assert pairs([owed(1, 5)], [arrived(1, 5, recipient=OTHER)]) == {}
    assert pairs([owed(1, 5, from_block=7)], [arrived(7, 5), arrived(8, 5)]) == {"ons_1": "t8"}


def test_the_tolerance_is_of_what_is_owed() -> None:
    assert pairs([owed(1, 10_000), owed(2, 20_000)], [arrived(1, 20_099), arrived(2, 9_900)], 100) == {
        "ons_1": "t2",
        "ons_2": "t1",
    }


def transfer(number: int, recipient: str, units: int, block_hash: str = "0x" + "aa" * 32) -> Transfer:
    return Transfer(TOKEN, WALLET, recipient, units, f"0x{number:064x}", 0, BlockRef(number, block_hash))


async def seen(database: Database) -> dict[str, str]:
    async with database.read() as conn:
        rows = await conn.execute(sa.select(sessions).where(sessions.c.delivery_status == "seen"))
        found = {row.id: row.tx_hash for row in rows}
        claims = await conn.execute(sa.select(transfers).where(transfers.c.session_id.is_not(None)))
        assert {row.session_id: row.tx_hash for row in claims} == found
    return found


async def test_a_matched_transfer_wakes_its_listeners_on_both_databases(database: Database) -> None:
    matcher = TransferMatcher(database, OBSERVE_CONFIG, SystemClock())
    await insert_paid_sessions(database, ("ons_1", BUYER, 5), ("ons_2", OTHER, 7))
    assert not await matcher.step()
    await matcher.record([transfer(1, BUYER, 5), transfer(2, OTHER, 7)], read_to=2, head=2)
    assert await matcher.step()
    assert await seen(database) == {"ons_1": f"0x{1:064x}", "ons_2": f"0x{2:064x}"}
    assert not await matcher.step()


async def test_a_transfer_that_came_before_the_payment_was_known_waits_for_it(database: Database) -> None:
    matcher = TransferMatcher(database, OBSERVE_CONFIG, SystemClock())
    await matcher.step()
    await matcher.record([transfer(1, BUYER, 5)], read_to=1, head=1)
    assert not await matcher.step()
    await insert_paid_sessions(database, ("ons_1", BUYER, 5))
    assert await matcher.step()
    assert await seen(database) == {"ons_1": f"0x{1:064x}"}


async def test_a_full_pass_matches_a_transfer_seen_long_ago(database: Database) -> None:
    await TransferMatcher(database, OBSERVE_CONFIG, SystemClock()).record([transfer(1, BUYER, 5)], read_to=1, head=1)
    async with database.write() as conn:
        await conn.execute(sa.update(transfers).values(seen_at=NOON - timedelta(days=9)))
    await insert_paid_sessions(database, ("ons_1", BUYER, 5))
    assert await TransferMatcher(database, OBSERVE_CONFIG, SystemClock()).step()
    assert await seen(database) == {"ons_1": f"0x{1:064x}"}


async def test_if_another_process_claims_one_transfer_the_rest_is_still_claimed(database: Database) -> None:
    class Overtaken(TransferMatcher):
        async def _claim(self, group: Any) -> None:
            async with database.write() as conn:
                await conn.execute(sa.update(sessions).where(sessions.c.id == "ons_1").values(version=2))
            await super()._claim(group)

    matcher = Overtaken(database, OBSERVE_CONFIG, SystemClock())
    await insert_paid_sessions(database, ("ons_1", BUYER, 5), ("ons_2", OTHER, 7))
    await matcher.record([transfer(1, BUYER, 5), transfer(2, OTHER, 7)], read_to=2, head=2)
    assert await matcher.step()
    assert await seen(database) == {"ons_2": f"0x{2:064x}"}


async def test_a_new_block_is_kept_and_matched_in_one_transaction(database: Database) -> None:
    matcher = TransferMatcher(database, OBSERVE_CONFIG, SystemClock())
    await insert_paid_sessions(database, ("ons_1", BUYER, 5), ("ons_2", OTHER, 7), ("ons_3", BUYER, 4))
    await matcher.step()
    await matcher.record([transfer(1, BUYER, 5), transfer(2, OTHER, 7), transfer(3, WALLET, 1)], read_to=3, head=3)
    assert await seen(database) == {"ons_1": f"0x{1:064x}", "ons_2": f"0x{2:064x}"}
    assert await matcher.step(), "listeners are notified"
    assert not await matcher.step()
    await matcher.record([transfer(4, BUYER, 4)], read_to=4, head=4)
    assert (await seen(database))["ons_3"] == f"0x{4:064x}"


async def test_earlier_transfers_to_a_wallet_are_considered_beside_new_ones(database: Database) -> None:
    matcher = TransferMatcher(database, OBSERVE_CONFIG, SystemClock())
    await matcher.step()
    await matcher.record([transfer(1, BUYER, 5)], read_to=1, head=1)
    await insert_paid_sessions(database, ("ons_1", BUYER, 5))
    await matcher.record([transfer(2, BUYER, 4)], read_to=2, head=2)
    await matcher.step()
    assert await seen(database) == {"ons_1": f"0x{1:064x}"}


async def test_in_the_middle_of_a_backfill_nothing_is_claimed(database: Database) -> None:
    matcher = TransferMatcher(database, OBSERVE_CONFIG, SystemClock())
    await insert_paid_sessions(database, ("ons_1", BUYER, 5))
    await matcher.step()
    await matcher.record([transfer(1, BUYER, 4)], read_to=1, head=2)
    assert await seen(database) == {}
    await matcher.record([transfer(2, BUYER, 5)], read_to=2, head=2)
    await matcher.step()
    assert await seen(database) == {"ons_1": f"0x{2:064x}"}


@pytest.mark.parametrize("block", ["aa", "cc"], ids=["as-it-was", "in-another-block"])
async def test_a_transfer_stored_before_is_matched_by_the_next_pass(database: Database, block: str) -> None:
    """As after a restart, which reads the last blocks again."""
    await TransferMatcher(database, OBSERVE_CONFIG, SystemClock()).record([transfer(1, BUYER, 5)], read_to=1, head=1)
    await insert_paid_sessions(database, ("ons_1", BUYER, 5), ("ons_2", OTHER, 7))
    matcher = TransferMatcher(database, OBSERVE_CONFIG, SystemClock())
    matcher._full_pass_at = float("inf")
    await matcher.record([transfer(1, BUYER, 5, "0x" + block * 32), transfer(2, OTHER, 7)], read_to=2, head=2)
    assert await seen(database) == {}
    assert await matcher.step()
    assert await seen(database) == {"ons_1": f"0x{1:064x}", "ons_2": f"0x{2:064x}"}


async def test_a_new_block_is_kept_where_another_was_quicker_with_a_session(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    matcher, look = TransferMatcher(database, OBSERVE_CONFIG, SystemClock()), deliveries_service.matchable_of

    async def read_and_overtaken(*given: Any) -> Any:
        owed, arrived = await look(*given)
        return [one._replace(version=one.version - (one.id == "ons_1")) for one in owed], arrived

    monkeypatch.setattr(deliveries_service, "matchable_of", read_and_overtaken)
    await insert_paid_sessions(database, ("ons_1", BUYER, 5), ("ons_2", OTHER, 7))
    await matcher.step()
    await matcher.record([transfer(1, BUYER, 5), transfer(2, OTHER, 7)], read_to=2, head=2)
    assert await seen(database) == {}
    assert await matcher.step()
    assert await seen(database) == {"ons_1": f"0x{1:064x}", "ons_2": f"0x{2:064x}"}


@pytest.mark.parametrize("status", ["broadcast", "mined", "final"])
async def test_a_payouts_hash_is_recorded_by_the_next_pass_even_if_it_ended_before(
    database: Database, status: str
) -> None:
    rules = session_config(load(DELIVERY_MODE="payout", HOT_WALLET_ADDRESS=WALLET, MUSD_TOKEN_ADDRESS=TOKEN))
    matcher, now = TransferMatcher(database, rules, SystemClock()), SystemClock().now()
    assert not await matcher.step()
    await insert_paid_sessions(database, ("ons_1", BUYER, 5), config=rules)
    row = {
        "id": "pay_1", "session_id": "ons_1", "stripe_session_id": "cos_1", "wallet": rules.hot_wallet, "asset": "MUSD",
        "token": TOKEN, "to_address": BUYER, "amount": 5, "reference": "0x01", "status": status, "tx_hash": f"0x{1:064x}",
        "created_at": now, "updated_at": now,
    }  # fmt: skip
    async with database.write() as conn:
        await conn.execute(sa.insert(payouts), [row])
    assert await matcher.step()
    assert not await matcher.step()
    async with database.read() as conn:
        found = (await conn.execute(sa.select(sessions))).one()
    assert (found.delivery_status, found.tx_hash) == ("seen", f"0x{1:064x}")


STATEMENTS = {
    name: getattr(deliveries_service, name) for name in ("_NEW_PAIRS", "_UNDER_WAY", "_JUST_ENDED", "_OF_WALLETS")
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
async def test_a_pass_starts_from_new_transfers_and_not_from_waiting_sessions(sqlite_url: str, statement: Any) -> None:
    database = connect(sqlite_url)
    statement = statement.params(wallet=WALLET, wallets=[], limit=1, moment=NOON, since=NOON)
    async with database.read() as conn:
        compiled = statement.compile(dialect=conn.dialect, compile_kwargs={"render_postcompile": True})
        nothing = (None,) * str(compiled).count("?")
        plan = (await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", nothing)).fetchall()
    await database.close()
    steps = [str(tuple(row)[-1]) for row in plan]
    scans = [step for step in steps if step.startswith("SCAN") and "VIRTUAL TABLE" not in step]
    assert not [*scans, *(step for step in steps if "ix_sessions_delivery" in step)], steps
