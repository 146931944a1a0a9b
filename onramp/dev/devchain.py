"""The development chain, whole: a node, three operators before it, the contracts, and a funded hot wallet."""

from pathlib import Path
from typing import Final

import aiohttp

from onramp.dev.anvil import Anvil
from onramp.dev.deploy import Deployment, DevContracts
from onramp.dev.proxy import NodeProxy

CHAIN_ID: Final = 31611
OPERATORS: Final = ("alder", "birch", "cedar")


class DevChain:
    """Start it, and there is a Mezo-like chain on this machine."""

    def __init__(self, *, home: Path | None = None, block_seconds: int = 1) -> None:
        """`home` keeps the chain between runs."""
        self.anvil = Anvil(chain_id=CHAIN_ID, home=home, block_seconds=block_seconds)
        self.proxies = [NodeProxy(name, self.anvil.url) for name in OPERATORS]
        self._session: aiohttp.ClientSession | None = None
        self._deployment: Deployment | None = None
        self._contracts: DevContracts | None = None

    @property
    def rpc_urls(self) -> list[str]:
        """The nodes as `MEZO_RPC_URLS` takes them: operator=url."""
        return [f"{proxy.name}={proxy.url}" for proxy in self.proxies]

    @property
    def deployment(self) -> Deployment:
        """What stands on the chain."""
        if self._deployment is None:
            message = "the development chain has not been started"
            raise RuntimeError(message)
        return self._deployment

    @property
    def contracts(self) -> DevContracts:
        """The hand that mints and funds."""
        if self._contracts is None:
            message = "the development chain has not been started"
            raise RuntimeError(message)
        return self._contracts

    async def start(self) -> None:
        """Start node and operators, and put the contracts there."""
        await self.anvil.start()
        self._session = aiohttp.ClientSession()
        for proxy in self.proxies:
            await proxy.start()
        self._contracts = DevContracts(self._session, self.anvil.url, CHAIN_ID)
        self._deployment = await self._contracts.deploy()

    async def stop(self) -> None:
        """Stop all of it; with a home, the node saves its state first."""
        for proxy in self.proxies:
            await proxy.stop()
        if self._session is not None:
            await self._session.close()
        await self.anvil.stop()
