"""Create the part that verifies that Stripe's USDC arrived: the nodes of its chain, the token, and the addresses it may have gone to."""

from collections.abc import Collection

import aiohttp
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.pool.pool import Pool
from chain.types import Address
from kit.clock import Clock
from kit.db.types import in_array
from onramp.sessions.config import SessionConfig
from onramp.sessions.table import sessions
from treasury.settlements.settings import SettlementSettings
from treasury.settlements.verification import Recipients, UsdcChain


def make_usdc_chain(
    settings: SettlementSettings, network: str, http: aiohttp.ClientSession, clock: Clock
) -> UsdcChain | None:
    """Return the reader that verifies the arrival of USDC on its chain; None if no node of that chain is configured.

    If there are fewer providers than SETTLEMENT_AGREEMENT, all of them must agree; a single one is believed.
    """
    nodes, at = settings.settlement_nodes(), settings.settlement_network(network)
    if not nodes or at is None:
        return None
    agreement = min(settings.SETTLEMENT_AGREEMENT, len({node.provider for node in nodes}))
    pool = Pool(nodes, chain_id=at.chain_id, agreement=agreement, session=http, clock=clock)
    return UsdcChain(pool, at.usdc, settings.SETTLEMENT_CONFIRMATIONS)


_LOCKED = (
    sa.select(sessions.c.locked_address).where(sessions.c.mode == "payout", in_array(sessions.c.id, "ids")).distinct()
)


def recipients_of(rules: SessionConfig) -> Recipients:
    """Return a reader of the addresses to which the USDC of sessions may have gone: the configured one, and those locked in the sessions."""

    async def recipients(conn: AsyncConnection, session_ids: Collection[str]) -> frozenset[Address]:
        locked = (await conn.execute(_LOCKED, {"ids": list(session_ids)})).scalars() if session_ids else ()
        return frozenset({*locked, *([rules.settlement_address] if rules.settlement_address else [])})

    return recipients
