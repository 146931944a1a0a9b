"""Hot wallets that this service paid from before, as the ledger still knows them."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from onramp.treasury.dependencies import TreasuryServices
from onramp.treasury.schemas import ledger as shapes
from treasury import rotation
from treasury.core.assets import GAS_ASSET, GAS_DECIMALS, MUSD, MUSD_DECIMALS, USDC, USDC_DECIMALS
from treasury.core.hot_wallets import HotWallet
from treasury.policy import service as policy_service


async def earlier(conn: AsyncConnection, services: TreasuryServices) -> list[shapes.AccountsResponse]:
    """What the ledger still has of wallets that this service paid from before."""
    wallet = services.rules.hot_wallet
    left = [] if wallet is None else await rotation.remaining_accounts(conn, wallet)
    decimals = await decimals_of(conn, services, [one.wallet for one in left])
    return [shapes.accounts(one.wallet, one.asset, one.accounts, decimals[one.asset]) for one in left]


async def decimals_of(conn: AsyncConnection, services: TreasuryServices, wallets: Iterable[str]) -> dict[str, int]:
    """Decimals of each asset that any policy of these wallets ever listed."""
    found = {MUSD: MUSD_DECIMALS, GAS_ASSET: GAS_DECIMALS, USDC: USDC_DECIMALS}
    for wallet in dict.fromkeys(wallets):
        for version in await policy_service.history(conn, HotWallet(services.rules.chain_id, wallet).key):
            found |= {symbol: asset.decimals for symbol, asset in version.terms.policy.assets.items()}
    return found
