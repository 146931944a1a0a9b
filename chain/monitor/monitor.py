"""Background work of a pool: save credits, reload the node list, read the chain's lockdown, compare providers.

The lockdown is read without web3 (`chain.reads.contract`): every process reads it twice a minute, from its start on, and would pay a second
of CPU and 25 MB for a call without arguments that returns one flag.
"""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

from chain.errors import CallReverted, ChainError
from chain.monitor.cross_check import CrossCheck, cross_check
from chain.node.config import read_nodes
from chain.node.credits import SAVE_SECONDS, save
from chain.node.metrics import ChainMetrics
from chain.pool.pool import Pool
from chain.types import Address, data_bytes, keccak
from kit.db.database import Database
from kit.logs import get_logger

log = get_logger(__name__)
INTERVAL_SECONDS: Final = 5.0
LOCKDOWN_SECONDS: Final = 30.0
CROSS_CHECK_SECONDS: Final = 60.0
"""Seconds between two comparisons of the providers. Quorum reads compare answers too; this finds contradicting nodes while there are no purchases."""
MAINTENANCE: Final = "0x7b7c000000000000000000000000000000000013"
"""The address of Mezo's Maintenance precompile; `getTxLockdown()` returns whether user transactions are refused (mezod, docs/emergency-controls.md)."""
_GET_LOCKDOWN: Final = "0x" + keccak(b"getTxLockdown()")[:4].hex()
_TRUE: Final = (1).to_bytes(32, "big")


class ChainMonitor:
    """Repeats the background work of one pool until it is stopped, and compares the providers about one block every minute."""

    def __init__(
        self,
        pool: Pool,
        database: Database,
        metrics: ChainMetrics,
        *,
        nodes_file: Path | None = None,
        token: Address | None = None,
        wallet: Address | None = None,
    ) -> None:
        """Monitor `pool`. Without `token` the providers are not compared; `wallet` is the one whose balance is compared.

        `nodes_file` is a file of nodes as `chain.node.config.read_nodes` reads it; it is read again when it changes.
        """
        self._pool = pool
        self._database = database
        self._file = nodes_file
        self._metrics = metrics
        self._token = token
        self._wallet = wallet
        self._read_state: tuple[int, int, int] | None = None
        self._unreadable: str | None = None
        self._since_lockdown = LOCKDOWN_SECONDS
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the monitor in its own task."""
        self._task = asyncio.create_task(self._loop(), name="chain monitor")

    async def stop(self) -> None:
        """Stop the monitor and save the credits that the nodes have used."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._guarded(self._save())

    async def check_once(self) -> None:
        """Do the monitor's work once, for a command that ends. Failures are not raised.

        It reloads the node list, reads whether Mezo refuses user transactions, and saves how many credits the nodes have used.
        """
        self._reload()
        await self._guarded(self._read_lockdown())
        await self._guarded(self._save())

    async def cross_check(self) -> CrossCheck:
        """Compare the providers' answers about one block. Contradicting nodes are quarantined and logged. Without a token nothing is compared."""
        if self._token is None:
            return CrossCheck(None)
        result = await cross_check(self._pool, self._token, self._wallet)
        for contradiction in result.contradictions:
            log.error("chain.operators_differ", detail=str(contradiction))
        return result

    async def _loop(self) -> None:
        since_save = since_compared = 0.0
        while True:
            self._reload()
            self._since_lockdown += INTERVAL_SECONDS
            # During a lockdown, read it each time: everything waits for its end.
            if self._since_lockdown >= LOCKDOWN_SECONDS or self._pool.halt.lockdown:
                self._since_lockdown = 0.0
                await self._guarded(self._read_lockdown())
            since_compared += INTERVAL_SECONDS
            if since_compared >= CROSS_CHECK_SECONDS:
                since_compared = 0.0
                await self._guarded(self.cross_check())
            since_save += INTERVAL_SECONDS
            if since_save >= SAVE_SECONDS:
                since_save = 0.0
                await self._guarded(self._save())
            self._metrics.halted(halted=self._pool.halt_reason is not None)
            for node in self._pool.nodes:
                self._metrics.budget(node.name, node.budget.used, node.budget.left)
            # Repeated, because calls to a node may end after it was removed from the list.
            self._metrics.retain({node.name for node in self._pool.nodes})
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _guarded(self, work: Awaitable[object]) -> None:
        try:
            await work
        except ChainError:
            return  # the pool already knows that the nodes do not answer
        except Exception as error:  # noqa: BLE001 - no failure may end the monitor; the type is enough for the log
            log.warning("chain.monitor_failed", kind=type(error).__name__)

    async def _save(self) -> None:
        limited = [node for node in self._pool.nodes if node.budget.plan.monthly_credits]
        if limited:
            await save(self._database, limited)

    async def _read_lockdown(self) -> None:
        await self._pool.refresh()
        call = [{"to": MAINTENANCE, "data": _GET_LOCKDOWN}, hex(self._pool.agreed_head())]
        try:
            # A chain without the precompile returns no data, an older one reverts.
            self._pool.halt.lockdown = (await self._pool.quorum("eth_call", call, key=data_bytes)).key == _TRUE
        except CallReverted:
            self._pool.halt.lockdown = False

    def _reload(self) -> None:
        if self._file is None:
            return
        try:
            # Size and inode too: two versions may be written within one tick of the file system's clock.
            stat = self._file.stat()
            state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if state == self._read_state:
                return
            self._read_state, first = state, self._read_state is None
            nodes = read_nodes(self._file)
        except (OSError, ValueError) as error:
            reason = str(error) if isinstance(error, ValueError) else error.strerror or type(error).__name__
            if reason != self._unreadable:
                log.error("chain.nodes_file_not_read", reason=reason, kept=[node.name for node in self._pool.nodes])
            self._unreadable = reason
            return
        self._unreadable = None
        self._pool.reload(nodes)
        providers = len({node.provider for node in nodes})
        if not first:
            log.info("chain.nodes_reloaded", nodes=[node.name for node in nodes])
        if providers < self._pool.agreement:
            log.error("chain.nodes_too_few", providers=providers, must_agree=self._pool.agreement)
