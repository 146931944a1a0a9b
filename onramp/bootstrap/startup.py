"""Check before the service starts that it may, and propose the treasury's policy."""

import asyncio
from typing import Final

from chain.errors import ChainError
from chain.reads.payonce import read_allowance
from kit.db.database import DATABASE_ERRORS, reason_of
from kit.db.pooler import SUGGESTED_LIMITS, missing_limits, pooling, timeouts
from kit.logs import get_logger
from onramp import migrations
from onramp.bootstrap import outbox
from onramp.bootstrap.container import Container
from onramp.bootstrap.errors import StartError
from onramp.screening.sanctions_list import ListError
from onramp.sessions import settlement_addresses
from onramp.treasury import policy_source
from treasury.core import hot_wallets
from treasury.core.hot_wallets import HotWallet
from treasury.payonce.verification import allowance_problem, contract_problem
from treasury.policy.parser import PolicyError
from treasury.signers.protocol import SignerError, WrongKey
from treasury.wallet_rotation import open_operations_of_others

log = get_logger(__name__)
_PROBE_SECONDS: Final = 10.0


async def prepare(container: Container) -> None:
    """Prepare the database, read the sanctions list and propose the policy, before any money may move. Raises StartError."""
    await _check_database(container)
    await _record_wallet(container)
    load_sanctions_list(container)
    await _refuse_open_operations(container)
    await refuse_wrong_contract(container)
    await report_missing_allowance(container)
    await outbox.subscribe(container)
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
        problems = "\n".join(error.problems)
        raise StartError(f"The treasury policy cannot be used; nothing was started:\n{problems}") from error


async def refuse_wrong_key(container: Container) -> None:
    """Raise StartError if the signer holds the key of another address than HOT_WALLET_ADDRESS.

    A signer that does not answer does not stop the start: webhooks are accepted, and payouts wait for the signer.
    """
    if container.signer is None:
        return
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            await container.signer.probe()
    except WrongKey as error:
        raise StartError(f"HOT_WALLET_ADDRESS and its signer do not fit: {error} Nothing was started.") from error
    except (SignerError, TimeoutError) as error:
        log.warning("signer.not_proved", reason=str(error) or "no answer in time", detail="payouts wait for it")


async def refuse_wrong_contract(container: Container) -> None:
    """Raise StartError if the nodes agree that PAYOUT_CONTRACT is not PayOnce on this chain.

    Nodes that do not answer do not stop the start: nothing is paid before they agree.
    """
    address = container.settings.PAYOUT_CONTRACT
    if not address:
        return
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            problem = await contract_problem(container.pool, address)
    except (ChainError, TimeoutError) as error:
        log.warning("payout_contract.not_proved", reason=str(error) or "no answer in time", contract=address)
        return
    if problem is not None:
        raise StartError(f"{problem} Nothing was started.")


async def report_missing_allowance(container: Container) -> None:
    """Raise the alarm `treasury.payout_allowance` if the nodes agree that PayOnce may move none of the hot wallet's MUSD.

    That does not stop the start: purchases are sold and their payouts wait, as they do for every other shortage of the hot wallet.
    """
    address, wallet = container.settings.PAYOUT_CONTRACT, container.rules.hot_wallet
    if not address or wallet is None:
        return
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            allowance = await read_allowance(container.pool, container.rules.token, wallet, address)
    except (ChainError, TimeoutError) as error:
        log.warning("payout_contract.not_proved", reason=str(error) or "no answer in time", contract=address)
        return
    problem = None if allowance else allowance_problem(wallet, allowance, owed=0, largest=1)
    if problem is not None:
        container.treasury_alarms.raise_alarm("payout_allowance", wallet, contract=address, detail=problem)


async def _record_wallet(container: Container) -> None:
    """Read the deployment's id, and record the hot wallet among all wallets that this deployment has paid from."""
    deployment = await container.deployment.get()
    log.info("deployment", id=deployment.id)
    if container.rules.hot_wallet is not None:
        async with container.database.write() as conn:
            await hot_wallets.record(
                conn, HotWallet(container.rules.chain_id, container.rules.hot_wallet), "started", container.clock.now()
            )


async def _refuse_open_operations(container: Container) -> None:
    """Raise StartError if payouts or sweeps of another hot wallet are still open."""
    if container.rules.hot_wallet is None:
        if container.rules.mode == "payout":
            log.warning(
                "treasury.no_wallet", detail="HOT_WALLET_ADDRESS is not set: buyers who have paid are not paid out"
            )
        return
    async with container.database.read() as conn:
        rows = await open_operations_of_others(conn, container.rules.hot_wallet)
    if rows:
        lines = "".join(f"\n  {row_id} of {wallet}: {status}" for row_id, wallet, status in rows[:20])
        raise StartError(
            f"HOT_WALLET_ADDRESS is {container.rules.hot_wallet}, and {len(rows)} payouts and sweeps of another hot wallet have not ended; "
            f"nothing would finish them. Nothing was started: start with that wallet's key until they have ended.{lines}"
        )


def load_sanctions_list(container: Container) -> None:
    """Read the file that SANCTIONS_LIST names, if it is set. Raises StartError if it cannot be read."""
    if not container.settings.SANCTIONS_LIST:
        if not container.settings.SANCTIONS_ORACLE:
            log.warning("screening.off", detail="SANCTIONS_LIST is not set: addresses are not screened")
        return
    try:
        count = container.screening.load()
    except ListError as error:
        raise StartError(
            f"SANCTIONS_LIST: {error}. Nothing was started: put the file in place, or remove the variable."
        ) from error
    log.info("screening.list_read", addresses=count)


async def _check_database(container: Container) -> None:
    """Check that the database answers and that this version can use its schema; in development, migrate it. Raises StartError."""
    try:
        await _refuse_hidden_pooler(container)
        await _refuse_missing_limits(container)
        schema = await migrations.ensure(container.database, is_production=container.settings.is_production)
    except migrations.MigrationError as error:
        raise StartError(f"{error} Nothing was started.") from error
    except DATABASE_ERRORS as error:
        raise StartError(
            f"The database cannot be used: {reason_of(error)}. Nothing was started. Is DATABASE_URL right?"
        ) from error
    if schema.found != schema.wanted:
        log.info("start.newer_database", detail=str(schema))


async def _refuse_hidden_pooler(container: Container) -> None:
    """Raise StartError if the database is behind a pooler in transaction mode that the settings do not declare: statements would fail at random."""
    if container.database.is_pooled or await pooling(container.database) != "transaction":
        return
    raise StartError(
        "The database is behind a pooler in transaction mode. Nothing was started: set DATABASE_POOLER=transaction, or let DATABASE_URL "
        "name the pooler's session port or the database itself."
    )


async def _refuse_missing_limits(container: Container) -> None:
    """Raise StartError in production if the database would let a statement, a lock or an open transaction last for ever.

    The service sets the limits on its own connections; a pooler may drop them, or in transaction mode leaves them to the role.
    """
    if container.database.dialect == "sqlite" or not container.settings.is_production:
        return
    missing = missing_limits(await timeouts(container.database))
    if missing:
        raise StartError(
            f"The database's limits {', '.join(missing)} are 0 on our connections, so one lock could hold up every purchase. Nothing was "
            f"started: set them for the role, such as ALTER ROLE ... SET {missing[0]} = '{SUGGESTED_LIMITS[missing[0]]}'."
        )
