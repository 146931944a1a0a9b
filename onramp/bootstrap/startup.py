"""What has to hold before anything starts, and what is proposed with a start."""

import asyncio
from typing import Final

from kit.db.database import DATABASE_ERRORS, reason_of
from kit.db.pooler import pooling
from kit.logs import get_logger
from onramp import migrations
from onramp.bootstrap.container import Container
from onramp.bootstrap.errors import StartError
from onramp.screening.sanctions_list import ListError
from onramp.sessions import settlement_addresses
from onramp.treasury import policy_source
from treasury.core import hot_wallets
from treasury.core.hot_wallets import HotWallet
from treasury.policy.parser import PolicyError
from treasury.rotation import open_operations_of_others
from treasury.signers.protocol import SignerError, WrongKey

log = get_logger(__name__)
_PROBE_SECONDS: Final = 10.0


async def prepare(container: Container) -> None:
    """Bring up the database, read the list and propose the policy, before anything may leave. Raises StartError."""
    await _bring_up_to_date(container)
    await _name(container)
    screen(container)
    await _nothing_left_behind(container)
    if container.rules.mode == "payout" and container.rules.settlement_address is not None:
        now = container.clock.now()
        await settlement_addresses.record(
            container.database, container.settings.ring, container.rules.settlement_address, now=now
        )
    try:
        await policy_source.propose(
            container.database, container.settings, container.rules, container.clock, container.ids
        )
    except PolicyError as error:
        message = "The treasury policy cannot be used; nothing was started:\n" + "\n".join(error.problems)
        raise StartError(message) from error


async def refuse_wrong_key(container: Container) -> None:
    """Raises StartError where the signer holds another key than HOT_WALLET_ADDRESS names.

    A signer that does not answer is waited for: webhooks are taken meanwhile.
    """
    if container.signer is None:
        return
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            await container.signer.probe()
    except WrongKey as error:
        message = f"HOT_WALLET_ADDRESS and its signer do not fit: {error} Nothing was started."
        raise StartError(message) from error
    except (SignerError, TimeoutError) as error:
        log.warning("signer.not_proved", reason=str(error) or "no answer in time", detail="payouts wait for it")


async def _name(container: Container) -> None:
    """Read the deployment's id, and remember the hot wallet among all that this deployment ever paid from."""
    deployment = await container.deployment.get()
    log.info("deployment", id=deployment.id)
    if container.rules.hot_wallet is not None:
        async with container.database.write() as conn:
            await hot_wallets.record(
                conn, HotWallet(container.rules.chain_id, container.rules.hot_wallet), "started", container.clock.now()
            )


async def _nothing_left_behind(container: Container) -> None:
    if container.rules.hot_wallet is None:
        if container.rules.mode == "payout":
            log.warning("treasury.no_wallet", detail="HOT_WALLET_ADDRESS is not set: who has paid is not paid out")
        return
    async with container.database.read() as conn:
        rows = await open_operations_of_others(conn, container.rules.hot_wallet)
    if rows:
        shown = "".join(f"\n  {row_id} of {wallet}: {status}" for row_id, wallet, status in rows[:20])
        message = (
            f"HOT_WALLET_ADDRESS is {container.rules.hot_wallet}, and {len(rows)} payouts and sweeps of another hot wallet have not ended; "
            f"nobody would follow them. Nothing was started: start with that wallet's key until they have.{shown}"
        )
        raise StartError(message)


def screen(container: Container) -> None:
    """Read SANCTIONS_LIST; nothing starts without the list that it names. Raises StartError."""
    if not container.settings.SANCTIONS_LIST:
        if not container.settings.SANCTIONS_ORACLE:
            log.warning("screening.off", detail="SANCTIONS_LIST is not set: nobody is screened")
        return
    try:
        count = container.screening.load()
    except ListError as error:
        message = f"SANCTIONS_LIST: {error}. Nothing was started: put the file in place, or take the variable away."
        raise StartError(message) from error
    log.info("screening.list_read", addresses=count)


async def _bring_up_to_date(container: Container) -> None:
    """Make sure that the database answers and that this version can use it. Raises StartError."""
    try:
        await _refuse_hidden_pooler(container)
        schema = await migrations.ensure(container.database, is_production=container.settings.is_production)
    except migrations.MigrationError as error:
        raise StartError(f"{error} Nothing was started.") from error
    except DATABASE_ERRORS as error:
        message = f"The database cannot be used: {reason_of(error)}. Nothing was started. Is DATABASE_URL right?"
        raise StartError(message) from error
    if schema.found != schema.wanted:
        log.info("start.newer_database", detail=str(schema))


async def _refuse_hidden_pooler(container: Container) -> None:
    """Raise StartError behind a pooler in transaction mode that the settings do not name: statements would fail at random."""
    if container.database.is_pooled or await pooling(container.database) != "transaction":
        return
    message = (
        "A pooler in transaction mode stands before the database. Nothing was started: set DATABASE_POOLER=transaction, or let DATABASE_URL "
        "name the pooler's session port or the database itself."
    )
    raise StartError(message)
