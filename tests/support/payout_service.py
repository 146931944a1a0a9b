"""The whole service in payout mode on a real chain: API and workers, with webhooks delivered and MUSD in the hot wallet."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.wallet import DevWallet, dev_wallet
from tests.support.clocks import OffsetClock
from tests.support.service import Service, Start, replica

WORKERS = ("inbox", "reconcile", "deliveries", "treasury", "janitor")
UNIT = 10**18


async def funded_wallet(chain: DevChain, home: Path) -> tuple[DevWallet, dict[str, Any]]:
    """Make a hot wallet with 1000 MUSD and gas; return it and the settings of a service that pays from it."""
    wallet = dev_wallet(home)
    await chain.mint(wallet.address, 1_000 * UNIT)
    await chain.fund_gas(wallet.address, UNIT)
    return wallet, {
        "MEZO_RPC_URLS": SecretStr(",".join(chain.rpc_urls)),
        "CHAIN_AGREEMENT": 2,
        "MUSD_TOKEN_ADDRESS": chain.deployment.musd,
        "HOT_WALLET_ADDRESS": wallet.address,
        "HOT_WALLET_KEYSTORE": wallet.keystore,
        "HOT_WALLET_PASSWORD": SecretStr(wallet.password),
    }


@asynccontextmanager
async def payout_service(
    start: Start, url: str, chain: DevChain, home: Path, **more: Any
) -> AsyncIterator[tuple[Service, DevWallet]]:
    """Start a service that sells and pays from a wallet of its own; yield both once it sells. `more` are further settings."""
    wallet, settings = await funded_wallet(chain, home)
    settings |= more
    service = await start(**settings)
    service.sandbox.sender.endpoint.url = f"{service.api}/api/v1/webhooks/stripe"
    async with replica(url, service, OffsetClock(), WORKERS, **settings):
        async with asyncio.timeout(60):
            while (await service.create(sourceAmount="1"))[0] != 201:
                await asyncio.sleep(0.3)
        yield service, wallet
