"""Two deployments on one Stripe account, one chain and one settlement address; the first one sells."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.db.database import Database, connect
from onramp.bootstrap.container import Container
from onramp.dev.chain.devchain import DevChain
from tests.support.clocks import OffsetClock
from tests.support.deployments import (
    UNIT,
    WORKERS,
    buy,
    buyer,
    complete,
    funded,
    paying,
    payouts_of,
    rename,
    until,
)
from tests.support.service import Service, Start, replica
from treasury.core.status import Status

if TYPE_CHECKING:
    from onramp.dev.local.wallet import DevWallet

PAID = 99 * UNIT // 2


class TwoDeployments:
    """One Stripe account, one chain, one settlement address; A sells first."""

    def __init__(
        self, start: Start, chain: DevChain, home: Path, url: str, more: Callable[[], str], stack: AsyncExitStack
    ) -> None:
        """Prepare; nothing runs yet."""
        self.start, self.chain, self.home, self.url, self.more, self.stack = start, chain, home, url, more, stack
        self.wallets: list[DevWallet] = []
        self.clock = OffsetClock()
        self.a: Service

    async def open(self) -> None:
        """Start A, which sells; its workers run in `selling`."""
        self.wallets = [await funded(self.chain, self.home / name) for name in ("a", "b")]
        self.a = await self.start(url=self.url, **paying(self.chain, self.wallets[0]))

    @asynccontextmanager
    async def selling(self, workers: tuple[str, ...] = WORKERS) -> AsyncIterator[Container]:
        """Run A's workers."""
        settings = paying(self.chain, self.wallets[0])
        async with replica(self.url, self.a, self.clock, workers, **settings) as container:
            yield container

    async def database(self, name: str | None = None) -> tuple[str, Database]:
        """Create another database: a backup of A's from before its first sale, or with `name` another deployment's."""
        url = self.more()
        database = connect(url)
        self.stack.push_async_callback(database.close)
        if name is not None:
            await rename(database, name)
        return url, database

    def beside(self, url: str, clock: OffsetClock | None = None, **more: Any) -> Any:
        """Run workers with another database, which pay from the second wallet."""
        return replica(url, self.a, clock or OffsetClock(), WORKERS, **paying(self.chain, self.wallets[1], **more))

    async def sold(self, *, paid: bool) -> dict[str, Any]:
        """Create a purchase at A and complete it at Stripe; with `paid`, A pays it too. Return the session."""
        made = await buy(self.a, buyer())
        self.complete(made)
        if paid:
            await until(lambda: self.is_final(self.a.database, made["id"]))
        return made

    def complete(self, made: dict[str, Any]) -> None:
        """Pay at Stripe; the poller finds it a minute later."""
        complete(self.a, made)
        self.clock.ahead += timedelta(seconds=61)

    async def is_final(self, database: Database, session_id: str) -> bool:
        """Return whether the payout of a session is final."""
        return any(row.session_id == session_id and row.status == Status.FINAL for row in await payouts_of(database))

    async def received(self, made: dict[str, Any]) -> int:
        """Return the buyer's balance in base units."""
        return await self.chain.balance(made["walletAddress"])
