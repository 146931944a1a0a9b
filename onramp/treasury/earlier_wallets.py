"""The earlier hot wallets of this service for which the ledger still holds amounts."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from onramp.treasury.dependencies import TreasuryServices
from onramp.treasury.schemas import ledger as schemas
from treasury import wallet_rotation
from treasury.core.assets import GAS_ASSET, GAS_DECIMALS, MUSD, MUSD_DECIMALS, USDC, USDC_DECIMALS
from treasury.core.hot_wallets import HotWallet
from treasury.policy import service as policy_service


async def earlier_accounts(conn: AsyncConnection, services: TreasuryServices) -> list[schemas.AccountsResponse]:
    """Return the responses for those accounts of earlier hot wallets that are not empty."""
    wallet = services.rules.hot_wallet
    remaining = [] if wallet is None else await wallet_rotation.remaining_accounts(conn, wallet)
    decimals = await decimals_of(conn, services, [row.wallet for row in remaining])
    return [schemas.accounts(row.wallet, row.asset, row.accounts, decimals[row.asset]) for row in remaining]


async def decimals_of(conn: AsyncConnection, services: TreasuryServices, wallets: Iterable[str]) -> dict[str, int]:
    """Return the decimals of MUSD, the gas token, USDC, and each asset that the 50 newest policy versions of these wallets list."""
    decimals = {MUSD: MUSD_DECIMALS, GAS_ASSET: GAS_DECIMALS, USDC: USDC_DECIMALS}
    for address in dict.fromkeys(wallets):
        for version in await policy_service.history(conn, HotWallet(services.rules.chain_id, address).key):
            decimals |= {symbol: asset.decimals for symbol, asset in version.terms.policy.assets.items()}
    return decimals
