"""The environment of a command or service with a hot wallet of its own."""

import asyncio
import os
from pathlib import Path

from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.wallet import dev_wallet


def hot_wallet_environment(chain: DevChain, database_url: str, home: Path) -> dict[str, str]:
    """Return the settings of a service whose new hot wallet, with its key in `home`, has gas and nothing else."""
    wallet = dev_wallet(home)
    asyncio.run(chain.fund_gas(wallet.address, 10**18))
    return {
        "PATH": os.environ["PATH"], "HOME": str(home), "DATABASE_URL": database_url, "MEZO_RPC_URLS": ",".join(chain.rpc_urls),
        "HOT_WALLET_ADDRESS": wallet.address, "HOT_WALLET_KEYSTORE": str(wallet.keystore), "HOT_WALLET_PASSWORD": wallet.password,
    }  # fmt: skip
