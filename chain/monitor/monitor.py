"""What goes on beside the calls: credits are saved, the node list is read anew, the chain's own pause is looked up, providers are compared."""

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
EVERY_SECONDS: Final = 5.0
LOCKDOWN_EVERY: Final = 30.0
COMPARE_EVERY: Final = 60.0
"""What money depends on is compared whenever it is asked for; this finds a liar where nobody buys."""
MAINTENANCE: Final = "0x7b7c000000000000000000000000000000000013"
"""Mezo's Maintenance precompile; `getTxLockdown()` says whether user transactions are refused (mezod, docs/emergency-controls.md)."""
_GET_LOCKDOWN: Final = "0x" + keccak(b"getTxLockdown()")[:4].hex()
_TRUE: Final = (1).to_bytes(32, "big")


class ChainMonitor:
    """One for each process that has a pool."""

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
        """`nodes_file`: see `read_nodes`. `token` and `wallet`: what providers are compared about; without a token they are not."""
        self._pool = pool
        self._database = database
        self._file = nodes_file
        self._metrics = metrics
        self._token = token
        self._wallet = wallet
        self._read_state: tuple[int, int, int] | None = None
        self._unreadable: str | None = None
        self._since_lockdown = LOCKDOWN_EVERY
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch, in a task of its own."""
        self._task = asyncio.create_task(self._loop(), name="chain watch")

    async def stop(self) -> None:
        """Stop watching, with the credits saved."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._guarded(self._save())

    async def check_once(self) -> None:
        """Look once, for a process that does not stay: the file, the lockdown, the month's credits."""
        self._reload()
        await self._guarded(self._look_up_lockdown())
        await self._guarded(self._save())

    async def cross_check(self) -> CrossCheck:
        """Lay side by side what the providers say of one block. Who contradicts the others is set aside, and logged."""
        if self._token is None:
            return CrossCheck(None)
        found = await cross_check(self._pool, self._token, self._wallet)
        for one in found.contradictions:
            log.error("chain.operators_differ", detail=str(one))
        return found

    async def _loop(self) -> None:
        since_save = since_compared = 0.0
        while True:
            self._reload()
            self._since_lockdown += EVERY_SECONDS
            # Its end is not to be missed: everybody waits for it.
            if self._since_lockdown >= LOCKDOWN_EVERY or self._pool.halt.lockdown:
                self._since_lockdown = 0.0
                await self._guarded(self._look_up_lockdown())
            since_compared += EVERY_SECONDS
            if since_compared >= COMPARE_EVERY:
                since_compared = 0.0
                await self._guarded(self.cross_check())
            since_save += EVERY_SECONDS
            if since_save >= SAVE_SECONDS:
                since_save = 0.0
                await self._guarded(self._save())
            self._metrics.halted(halted=self._pool.halt_reason is not None)
            for node in self._pool.nodes:
                self._metrics.budget(node.name, node.budget.used, node.budget.left)
            # Again and again, as what a node is asked may end after it was taken from the list.
            self._metrics.retain({node.name for node in self._pool.nodes})
            await asyncio.sleep(EVERY_SECONDS)

    async def _guarded(self, work: Awaitable[object]) -> None:
        try:
            await work
        except ChainError:
            return  # a chain that cannot be asked is known to the pool already
        except Exception as error:  # noqa: BLE001 - none of this may end the watch; the names say enough
            log.warning("chain.watch_failed", kind=type(error).__name__)

    async def _save(self) -> None:
        limited = [node for node in self._pool.nodes if node.budget.plan.monthly_credits]
        if limited:
            await save(self._database, limited)

    async def _look_up_lockdown(self) -> None:
        await self._pool.refresh()
        asked = [{"to": MAINTENANCE, "data": _GET_LOCKDOWN}, hex(self._pool.agreed_head())]
        try:
            # A chain without the precompile answers nothing, an older one refuses the call.
            self._pool.halt.lockdown = (await self._pool.quorum("eth_call", asked, key=data_bytes)).key == _TRUE
        except CallReverted:
            self._pool.halt.lockdown = False

    def _reload(self) -> None:
        if self._file is None:
            return
        try:
            # Size and inode as well: two versions may be written within one tick of the file system's clock.
            stat = self._file.stat()
            state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if state == self._read_state:
                return
            self._read_state, first = state, self._read_state is None
            nodes = read_nodes(self._file)
        except (OSError, ValueError) as error:
            said = str(error) if isinstance(error, ValueError) else error.strerror or type(error).__name__
            if said != self._unreadable:
                log.error("chain.nodes_file_not_read", reason=said, kept=[node.name for node in self._pool.nodes])
            self._unreadable = said
            return
        self._unreadable = None
        self._pool.reload(nodes)
        providers = len({node.provider for node in nodes})
        if not first:
            log.info("chain.nodes_reloaded", nodes=[node.name for node in nodes])
        if providers < self._pool.agreement:
            log.error("chain.nodes_too_few", providers=providers, must_agree=self._pool.agreement)
