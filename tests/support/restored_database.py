"""A restored database, and the checklist that is run on it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from kit.audit.actor import Actor
from kit.audit.table import entries
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.ids import RandomIds
from onramp.deployment.service import OwnDeployment
from onramp.recovery.checklist import advance
from onramp.recovery.context import Options, RecoveryContext
from onramp.recovery.model import Progress, StepName
from onramp.sessions.ignored_sessions import IgnoredSessions
from onramp.sessions.refresh import Refresher
from tests.support.clocks import OffsetClock
from tests.support.delivery_histories import rules_of
from tests.support.hot_wallet import BUYER, HOT_WALLET, TOKEN, WALLET
from tests.support.migrating import migrating
from tests.support.stripe_gateway import wired
from treasury import balances
from treasury.core.assets import MUSD
from treasury.pause import service as pause_service
from treasury.pause.model import SCOPES
from treasury.restores import service as restores_service

RING = KeyRing([b"k" * 32], "onramp")
NO_HEAD = Options(without_head=True, person="anna")
BY_COMMAND = [name for name in StepName if name not in {StepName.SPENT, StepName.COMPARED, StepName.RESUMED}]


class Killed(Exception):
    """The command was killed here."""


class Restored:
    """A restored database, and the command that is run on it again and again."""

    def __init__(self, context: RecoveryContext) -> None:
        self.context, self.database, self.clock = context, context.database, context.clock

    async def run(
        self,
        options: Options = NO_HEAD,
        checkpoint: Callable[[StepName], None] = lambda _: None,
        *,
        again: bool = False,
    ) -> Progress:
        return await advance(replace(self.context, options=options), again=again, checkpoint=checkpoint)

    async def work(self) -> None:
        """Do what the treasury worker does meanwhile: spend the nonces, and read the balances."""
        now = self.clock.now()
        async with self.database.write() as conn:
            restore = await restores_service.open_restore(conn, HOT_WALLET)
            assert restore is not None
            await restores_service.finish(conn, restore, by="treasury", now=now)
            await balances.refresh(conn, HOT_WALLET, MUSD, amount=0, block_number=7, now=now)

    async def resume(self, person: str) -> None:
        async with self.database.write() as conn:
            await pause_service.resume(conn, SCOPES, Actor("key_1", person), note="", now=self.clock.now())

    async def count(self, table: sa.Table) -> int:
        async with self.database.read() as conn:
            return (await conn.execute(sa.select(sa.func.count()).select_from(table))).scalar_one()

    async def actions(self) -> list[str]:
        async with self.database.read() as conn:
            return list((await conn.execute(sa.select(entries.c.action).order_by(entries.c.id))).scalars())


@asynccontextmanager
async def restored_database(database: Database) -> AsyncIterator[Restored]:
    """Yield a database as a backup leaves it, with the parts that the checklist needs."""
    clock, ids = OffsetClock(), RandomIds()
    config = replace(rules_of(TOKEN, BUYER), mode="payout", hot_wallet=WALLET)
    async with wired() as wire:
        deployment = OwnDeployment(database, clock, ids)
        ignored = IgnoredSessions(CollectorRegistry())
        refresher = Refresher(database, wire.gateway, config, clock, ids, deployment, ignored, RING)
        yield Restored(
            RecoveryContext(
                database,
                wire.gateway,
                refresher,
                config,
                RING,
                clock,
                ids,
                pipeline_depth=1,
                options=NO_HEAD,
                **migrating(database),
            )
        )
