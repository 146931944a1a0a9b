"""The checklist of a restore: it goes on where it stopped, and does nothing twice."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kit.audit import hash_chain
from kit.audit import service as audit_service
from kit.db.types import db_now
from kit.heartbeats import service as heartbeats_service
from kit.heartbeats.table import worker_heartbeats
from kit.http.problems import Problem
from kit.money import Money
from onramp.auth.wallets import service as wallets_service
from onramp.recovery.context import Options
from onramp.recovery.model import StepName
from onramp.sessions.model import intent_row
from onramp.sessions.service import VERSIONS_SKIPPED
from onramp.sessions.table import sessions
from tests.support.hot_wallet import BUYER, HOT_WALLET
from tests.support.restored_database import BY_COMMAND, NO_HEAD, RING, Killed, Restored
from treasury.core import hot_wallets
from treasury.core.hot_wallets import HotWallet
from treasury.core.leader import Leader, LeadershipLost
from treasury.restores import service as restores_service
from treasury.restores.table import restores


def kill_after(name: StepName) -> Callable[[StepName], None]:
    def checkpoint(done: StepName) -> None:
        if done is name:
            raise Killed

    return checkpoint


@pytest.mark.parametrize("name", BY_COMMAND)
async def test_a_kill_between_two_steps_costs_nothing(restored: Restored, name: StepName) -> None:
    with pytest.raises(Killed):
        await restored.run(checkpoint=kill_after(name))
    progress = await restored.run()
    assert list(progress.done) == BY_COMMAND
    assert "Start the service again" in (progress.waits_for or "")
    assert await restored.count(restores) == 1
    actions = await restored.actions()
    assert actions.count("recovery.begin") == 1
    assert actions.count("recovery.step") == len(BY_COMMAND)
    assert actions.count("treasury.pause") == 3
    async with restored.database.read() as conn:
        assert await wallets_service.versions(conn, [BUYER]) == {BUYER: 1_000_000}


async def test_a_checklist_ends_only_when_another_person_has_resumed(restored: Restored) -> None:
    await restored.run()
    await restored.work()
    progress = await restored.run()
    assert "another person" in (progress.waits_for or "")
    with pytest.raises(Problem, match="another approver"):
        await restored.resume("anna")
    await restored.resume("bert")
    progress = await restored.run()
    assert progress.waits_for is None
    assert list(progress.done) == list(StepName)
    assert progress.recovery is not None
    assert progress.recovery.finished_at is not None


async def test_running_processes_and_leaders_are_refused(restored: Restored) -> None:
    async with restored.database.write() as conn:
        await heartbeats_service.beat(conn, "host-1", {"treasury": 0.0, "api": 0.0})
    progress = await restored.run()
    assert "api, treasury" in (progress.waits_for or "")
    assert progress.recovery is None
    async with restored.database.write() as conn:
        await conn.execute(sa.update(worker_heartbeats).values(seen_at=db_now(-60)))
    leader = Leader(restored.database, HOT_WALLET, owner="snd_1", seconds=30)
    assert await leader.hold()
    assert "leads the hot wallet" in ((await restored.run()).waits_for or "")
    await leader.resign()
    assert list((await restored.run()).done) == BY_COMMAND


async def test_purchases_are_rebuilt_beside_running_processes_once_nothing_can_be_paid(restored: Restored) -> None:
    """In a development stack the payment service itself runs only beside them."""

    with pytest.raises(Killed):
        await restored.run(checkpoint=kill_after(StepName.LOGGED_OUT))
    async with restored.database.write() as conn:
        await heartbeats_service.beat(conn, "host-1", {"treasury": 0.0, "api": 0.0})
    assert list((await restored.run()).done) == BY_COMMAND


async def test_a_leader_from_before_can_write_nothing_after_the_declaration(restored: Restored) -> None:
    leader = Leader(restored.database, HOT_WALLET, owner="snd_1", seconds=-1, pipeline_depth=4)
    assert await leader.hold()
    progress = await restored.run()
    assert progress.done[StepName.DECLARED].result["depth"] == 4, "the deepest that the database knows"
    with pytest.raises(LeadershipLost):
        async with leader.write():
            """Its lease is gone."""
    assert leader.token is None


async def test_the_newest_head_shows_how_much_is_lost_and_a_changed_audit_log_is_refused(restored: Restored) -> None:
    assert "--head" in ((await restored.run(Options())).waits_for or "")
    async with restored.database.write() as conn:
        for subject in ("a", "b"):
            await audit_service.record(conn, "key_1", "x", subject, at=restored.clock.now())
        rows = await hash_chain.unlinked(conn, since=0, limit=10)
        key = RING.first(hash_chain.PURPOSE)
        own = await hash_chain.extend(conn, key, hash_chain.NO_HEAD, rows, restored.clock.now())
    wrong = Options(heads=[hash_chain.Head(own.number, "f" * 64)])
    assert "cannot be trusted" in ((await restored.run(wrong)).waits_for or "")
    newest = Options(heads=[own, hash_chain.Head(own.number + 5, "e" * 64)])
    progress = await restored.run(newest)
    assert progress.done[StepName.VERIFIED].result["lostEntries"] == 5


async def test_sessions_that_can_change_continue_above_every_version_that_was_shown(restored: Restored) -> None:
    now = restored.clock.now()
    statuses: dict[str, dict[str, Any]] = {
        "open": {"payment_status": "requires_payment"},
        "paid": {"payment_status": "fulfillment_complete"},
        "expired": {"payment_status": "expired"},
        "confirmed": {"payment_status": "fulfillment_complete", "delivery_status": "confirmed"},
        "old": {"payment_status": "expired", "updated_at": now - timedelta(days=30)},
    }
    async with restored.database.write() as conn:
        for name, values in statuses.items():
            row = intent_row(
                restored.context.config, session_id=f"ons_{name}", wallet=BUYER, source=Money(100, "usd"), fee_bps=0, created_at=now,
                now=now,
            )  # fmt: skip
            await conn.execute(sa.insert(sessions).values(row | values))
    await restored.run()
    async with restored.database.read() as conn:
        versions = {row.id: row.version for row in await conn.execute(sa.select(sessions.c.id, sessions.c.version))}
    skipped = 1 + VERSIONS_SKIPPED
    assert versions == {
        "ons_open": skipped,
        "ons_paid": skipped,
        "ons_expired": skipped,
        "ons_confirmed": 1,
        "ons_old": 1,
    }


async def test_a_second_restore_begins_a_checklist_of_its_own(restored: Restored) -> None:
    first = await restored.run()
    second = await restored.run(again=True)
    assert first.recovery is not None
    assert second.recovery is not None
    assert first.recovery.id != second.recovery.id
    assert await restored.count(restores) == 2
    async with restored.database.read() as conn:
        open_restore = await restores_service.open_restore(conn, HOT_WALLET)
    assert open_restore is not None
    assert open_restore.id == second.done[StepName.DECLARED].result["restore"]


async def test_the_backup_is_as_old_as_its_newest_row(restored: Restored) -> None:
    async with restored.database.write() as conn:
        at = restored.clock.now() - timedelta(days=3)
        await audit_service.record(conn, "key_1", "x", "a", at=at)
    progress = await restored.run()
    assert progress.recovery is not None
    assert progress.recovery.backup_at == at
    since: Any = progress.done[StepName.REBUILT].result["since"]
    assert since == int((at - timedelta(hours=1)).timestamp())
    # What the checklist has written since is no part of the backup.
    again = await restored.run(again=True)
    assert again.recovery is not None and again.recovery.backup_at == at


async def record_wallet(restored: Restored, address: str) -> HotWallet:
    wallet = HotWallet(HOT_WALLET.chain_id, address)
    async with restored.database.write() as conn:
        await hot_wallets.record(conn, wallet, "started", restored.clock.now())
    return wallet


async def is_open(restored: Restored, wallet: HotWallet) -> bool:
    async with restored.database.read() as conn:
        return await restores_service.open_restore(conn, wallet) is not None


async def test_the_restore_is_declared_for_every_wallet_that_may_have_signed(restored: Restored) -> None:
    signed, retired = [await record_wallet(restored, "0x" + digit * 40) for digit in "12"]
    unknown = replace(NO_HEAD, unused=["0x" + "3" * 40])
    refused = await restored.run(unknown)
    assert "no such earlier hot wallet" in (refused.waits_for or "") and StepName.DECLARED not in refused.done
    progress = await restored.run(replace(NO_HEAD, unused=[retired.address]))
    assert progress.done[StepName.DECLARED].result["earlierWallets"] == [signed.address]
    assert [await is_open(restored, wallet) for wallet in (HOT_WALLET, signed, retired)] == [True, True, False]
    # Another person remembers later that this one signed nothing, either.
    await restored.run(replace(NO_HEAD, unused=[signed.address, retired.address]), again=True)
    assert [await is_open(restored, wallet) for wallet in (HOT_WALLET, signed, retired)] == [True, False, False]
    assert (await restored.actions()).count("treasury.restored") == 1


async def test_wallets_that_the_backup_did_not_know_are_declared_once_stripe_names_them(restored: Restored) -> None:
    """Sessions that are rebuilt record the wallets which Stripe's metadata name; here that happens right after the declaration."""
    with pytest.raises(Killed):
        await restored.run(checkpoint=kill_after(StepName.DECLARED))
    learned = await record_wallet(restored, "0x" + "4" * 40)
    await restored.run()
    assert await is_open(restored, learned)


async def test_an_option_that_comes_after_its_step_is_not_ignored(restored: Restored) -> None:
    retired = await record_wallet(restored, "0x" + "5" * 40)
    await restored.run()
    for late in ({"unused": [retired.address]}, {"heads": [hash_chain.Head(9, "ab" * 32)]}):
        refused = await restored.run(replace(NO_HEAD, **late))
        assert "too late" in (refused.waits_for or "") and "--again" in (refused.waits_for or "")
    # What was said in time may be repeated with each call.
    again = replace(NO_HEAD, unused=[retired.address])
    await restored.run(again, again=True)
    assert "too late" not in ((await restored.run(again)).waits_for or "")
