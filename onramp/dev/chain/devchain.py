"""The whole development chain: a node, three providers' proxies in front of it, and the real contracts on it."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from chain.types import Address
from onramp.dev.chain.anvil import Anvil
from onramp.dev.chain.deploy import Deployment, DevContracts
from onramp.dev.chain.proxy import NodeProxy
from onramp.dev.chain.rpc import Rpc

CHAIN_ID: Final = 31611
OPERATORS: Final = ("alpha", "beta", "gamma")
_THREAD_SECONDS: Final = 60.0


class DevChain:
    """A Mezo-like chain on this computer. `mint`, `fund_gas`, `balance` and `rpc` may be awaited on any event loop."""

    def __init__(self) -> None:
        """Prepare the chain; node and proxies take free ports at `start`."""
        self.anvil = Anvil(chain_id=CHAIN_ID)
        self.proxies = tuple(NodeProxy(name) for name in OPERATORS)
        self._deployment: Deployment | None = None

    @property
    def deployment(self) -> Deployment:
        """The contracts on the chain. Raises RuntimeError before `start`."""
        if self._deployment is None:
            raise RuntimeError("the development chain is not running")
        return self._deployment

    @property
    def rpc_urls(self) -> tuple[str, ...]:
        """The URLs of the providers' nodes, each as `operator=url`; joined by commas they are a value for MEZO_RPC_URLS."""
        return tuple(f"{proxy.name}={proxy.url}" for proxy in self.proxies)

    @property
    def rpc(self) -> Rpc:
        """The client of the node itself, past the proxies: for cheat codes, and true answers."""
        return Rpc(self.anvil.url)

    def proxy(self, name: str) -> NodeProxy:
        """Return one provider's proxy, to make it misbehave. Raises LookupError."""
        for proxy in self.proxies:
            if proxy.name == name:
                return proxy
        raise LookupError(f"there is no operator {name}")

    async def start(self, data_dir: Path | None = None) -> None:
        """Start node, proxies and contracts. `data_dir` keeps the chain between runs. Raises DevChainError, OSError."""
        try:
            await self.anvil.start(data_dir)
            for proxy in self.proxies:
                await proxy.start(self.anvil.url)
            self._deployment = await self._contracts().deploy()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything; with a data directory the node saves its state first. Do nothing if the chain is not running."""
        self._deployment = None
        for proxy in self.proxies:
            await proxy.stop()
        await self.anvil.stop()

    async def mint(self, to: Address, amount: int) -> None:
        """Mint MUSD, in base units; return when the transaction is mined."""
        await self._contracts().mint(to, amount)

    async def fund_gas(self, to: Address, wei: int) -> None:
        """Set the native balance (BTC on Mezo) of `to`, in wei."""
        await self._contracts().fund_gas(to, wei)

    async def balance(self, holder: Address) -> int:
        """Return the holder's MUSD, in base units."""
        return await self._contracts().balance(holder)

    def _contracts(self) -> DevContracts:
        return DevContracts(self.anvil.url, CHAIN_ID)


@contextmanager
def running(data_dir: Path | None = None) -> Iterator[DevChain]:
    """Run a chain on its own event loop in a thread, so that many tests, each with its own loop, can share it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="development chain", daemon=True)
    thread.start()

    def wait(coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(_THREAD_SECONDS)

    chain = DevChain()
    try:
        wait(chain.start(data_dir))
        try:
            yield chain
        finally:
            wait(chain.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
