"""Where Stripe's USDC arrives: the nodes of that chain, its token, and the addresses that sessions were locked to."""

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
    """The chain that shows whether USDC arrived; None where no node of it is configured.

    With fewer providers than SETTLEMENT_AGREEMENT all of them must say the same; one alone is believed.
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
    """Where the USDC of sessions may have gone: the address configured now, and those locked with them when they were made."""

    async def recipients(conn: AsyncConnection, session_ids: Collection[str]) -> frozenset[Address]:
        locked = (await conn.execute(_LOCKED, {"ids": list(session_ids)})).scalars() if session_ids else ()
        return frozenset({*locked, *([rules.settlement_address] if rules.settlement_address else [])})

    return recipients
