"""Read the ledger: balances that must sum to zero, and the kinds of a subject's postings."""

from tests.support.hot_wallet import MUSD, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account

STOCK = 1_000_000 * MUSD


async def accounts(world: TreasuryWorld, asset: str = "MUSD") -> dict[Account, int]:
    """Return the accounts that are not empty; all of them must sum to zero."""
    async with world.database.read() as conn:
        balances = await ledger_service.balances(conn, WALLET, asset)
    assert sum(balances.values()) == 0
    return {account: amount for account, amount in balances.items() if amount}


async def kinds(world: TreasuryWorld, subject: str) -> list[str]:
    """Return the kinds of a subject's postings, oldest first."""
    async with world.database.read() as conn:
        return [row.kind for row in reversed(await ledger_service.page(conn, [WALLET])) if row.subject == subject]
