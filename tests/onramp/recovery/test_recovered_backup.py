"""A recovery on real parts: the chain stands still with a signed payout while the backup is restored."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from chain.types import to_checksum
from kit.audit.actor import Actor
from kit.db.database import connect
from onramp.bootstrap.container import Container
from onramp.deployment import service as deployment_service
from onramp.deployment.service import OwnDeployment
from onramp.dev.chain.devchain import DevChain
from onramp.recovery.checklist import advance
from onramp.recovery.context import Options, RecoveryContext
from onramp.recovery.model import Progress, StepName
from tests.support.clocks import OffsetClock
from tests.support.deployments import (
    WORKERS,
    another_database,
    buy,
    buyer,
    complete,
    funded,
    paying,
    payouts_of,
    rename,
    until,
)
from tests.support.migrating import migrating
from tests.support.service import Start, replica
from treasury.core.status import Status
from treasury.pause import service as pause_service
from treasury.pause.model import SCOPES


async def recover(container: Container, deployment: str = "") -> Progress:
    # The command is a process of its own, which has read no deployment id before.
    deployment_of_command = OwnDeployment(container.database, container.clock, container.ids)
    context = RecoveryContext(
        database=container.database,
        stripe=container.stripe,
        refresher=replace(container.refresher, deployment=deployment_of_command),
        config=container.rules,
        ring=container.settings.ring,
        clock=container.clock,
        ids=container.ids,
        pipeline_depth=container.settings.HOT_WALLET_PIPELINE,
        options=Options(without_head=True, person="anna", deployment=deployment),
        **migrating(container.database),
    )
    return await advance(context)


async def service_deployment(url: str) -> str:
    """Return the id of the deployment whose database this is."""
    database = connect(url)
    try:
        async with database.read() as conn:
            deployment = await deployment_service.read(conn)
    finally:
        await database.close()
    assert deployment is not None
    return deployment.id


async def be_another_deployment(url: str) -> None:
    """Give the database another deployment id, as a newly created one would have."""
    database = connect(url)
    try:
        await rename(database, "dep_other")
    finally:
        await database.close()


@pytest.mark.parametrize("backup", ["a backup", "none"])
async def test_a_payout_that_was_signed_before_the_loss_and_mined_after_it_is_not_made_again(
    request: pytest.FixtureRequest, start: Start, chain: DevChain, tmp_path: Path, database_url: str, backup: str
) -> None:
    wallet = await funded(chain, tmp_path / "wallet")
    settings, clock = paying(chain, wallet), OffsetClock()
    service = await start(url=database_url, **settings)

    async def statuses(url: str) -> dict[str, str]:
        database = connect(url)
        try:
            return {row.session_id: row.status for row in await payouts_of(database)}
        finally:
            await database.close()

    async with replica(database_url, service, clock, WORKERS, **settings):
        made = [await buy(service, buyer()) for _ in range(2)]
        complete(service, made[0])
        clock.ahead += timedelta(seconds=61)

        async def is_final() -> bool:
            return (await statuses(database_url)).get(made[0]["id"]) == Status.FINAL

        await until(is_final)
        await chain.rpc("evm_setIntervalMining", 0)
        await chain.rpc("evm_setAutomine", False)
        complete(service, made[1])
        clock.ahead += timedelta(seconds=61)

        async def is_broadcast() -> bool:
            return (await statuses(database_url)).get(made[1]["id"]) == Status.BROADCAST

        await until(is_broadcast)
    restored = another_database(request, database_url)()
    deployment = await service_deployment(database_url) if backup == "none" else ""
    if deployment:
        await be_another_deployment(restored)
    async with replica(restored, service, clock, (), **settings) as container:
        try:
            progress = await recover(container, deployment)
        finally:
            await chain.rpc("evm_setIntervalMining", 1)
        assert "Start the service again" in (progress.waits_for or "")
        assert progress.done[StepName.REBUILT].result["rebuilt"] == 2
    async with replica(restored, service, clock, WORKERS, **settings) as container:

        async def is_compared() -> bool:
            return StepName.COMPARED in (await recover(container)).done

        await until(is_compared)
        result = (await recover(container)).done[StepName.COMPARED].result
        assert (result["completed"], result["paid"], result["owed"]) == ("99.00", "99.00", "0.00")
        async with container.database.write() as conn:
            await pause_service.resume(conn, SCOPES, Actor("key_1", "bert"), note="", now=clock.now())
        assert (await recover(container)).waits_for is None
    for one in made:
        assert await chain.balance(to_checksum(one["walletAddress"])) == 99 * 10**18 // 2
