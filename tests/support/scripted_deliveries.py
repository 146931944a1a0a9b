"""Purchases that wait for transfers of a scripted chain, which a test takes back, moves or lets fail; the worker and the database are real."""

from datetime import timedelta
from typing import Any, cast

import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from chain.node.config import NodeConfig
from chain.pool.pool import Pool
from kit.db.database import Database
from kit.money import Money
from onramp.bootstrap.factories import session_config
from onramp.config.loader import load
from onramp.deliveries.context import DeliveryContext, DeliveryMetrics
from onramp.deliveries.table import transfers
from onramp.deliveries.worker import make_deliveries
from onramp.sessions.model import intent_row
from onramp.sessions.table import sessions
from tests.support.clocks import ManualClock
from tests.support.receipts import BUYER, TOKEN, WALLET, log
from tests.support.scripted_transport import Raw, ScriptedSession

OTHER_TX = "0x" + "56" * 32
OWED = 5


class Chain:
    """One chain as three providers report it: `paid` maps a transaction to its block; a branch gives blocks their hashes."""

    def __init__(self) -> None:
        """Start with a hundred blocks."""
        self.head = 100
        self.branch = 0
        self.forked_at = 0
        self.paid: dict[str, int] = {}
        self.recipients: dict[str, str] = {}
        self.reverted: set[str] = set()
        self.unindexed: set[str] = set()
        self.pruned_to = 0
        self.failing: set[str] = set()
        """Methods that every node answers with an error."""

    def hash(self, number: int) -> str:
        """Return the hash of a block in the present branch."""
        return f"0x{self.branch if number >= self.forked_at else 0:032x}{number:032x}"

    def reorg(self, depth: int) -> None:
        """Replace the last blocks; their transactions are gone."""
        self.branch += 1
        self.forked_at = self.head - depth + 1
        self.paid = {tx: block for tx, block in self.paid.items() if block < self.forked_at}

    def speak(self, host: str, method: str, params: list[Any]) -> Any:
        """Return the answer of any provider to a call."""
        if method in self.failing:
            return Raw(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}')
        match method:
            case "eth_chainId":
                return hex(31611)
            case "eth_blockNumber":
                return hex(self.head)
            case "eth_getLogs":
                first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
                return [
                    self._log(tx)
                    for tx, block in self.paid.items()
                    if first <= block <= last and tx not in self.reverted
                ]
            case "eth_getBlockByNumber":
                number = int(params[0], 16)
                return (
                    {"number": params[0], "hash": self.hash(number)} if self.pruned_to < number <= self.head else None
                )
            case _:
                return self._receipt(params[0])

    def _log(self, tx_hash: str) -> dict[str, Any]:
        block = self.paid[tx_hash]
        recipient = self.recipients.get(tx_hash, BUYER)
        return {**log(OWED, recipient=recipient, block=block, tx_hash=tx_hash), "blockHash": self.hash(block)}

    def _receipt(self, tx_hash: str) -> dict[str, Any] | None:
        if tx_hash not in self.paid or tx_hash in self.unindexed:
            return None
        block, failed = self.paid[tx_hash], tx_hash in self.reverted
        return {
            "transactionHash": tx_hash,
            "blockHash": self.hash(block),
            "blockNumber": hex(block),
            "status": hex(not failed),
            "logs": [] if failed else [self._log(tx_hash)],
        }


class Shop:
    """The deliveries worker with that chain."""

    def __init__(self, database: Database, clock: ManualClock | None = None) -> None:
        """Return a shop without purchases."""
        self.chain = Chain()
        self.clock = clock or ManualClock(1000.0)
        self.database = database
        self.session = ScriptedSession(self.chain.speak)
        self.hosts = [f"n{place}.test" for place in range(3)]
        configs = [NodeConfig(host, host, f"http://{host}/") for host in self.hosts]
        self.pool = Pool(configs, chain_id=31611, session=cast("Any", self.session), clock=self.clock)
        self.rules = session_config(load(DELIVERY_MODE="observe", DELIVERY_SENDERS=WALLET, MUSD_TOKEN_ADDRESS=TOKEN))
        self.registry = CollectorRegistry()
        metrics = DeliveryMetrics(self.registry)
        self.worker = make_deliveries(
            DeliveryContext(database, self.pool, self.rules, frozenset({WALLET}), self.clock, metrics, lambda: None)
        )

    async def purchase(self, number: int = 1, wallet: str = BUYER) -> None:
        """Add one paid purchase."""
        now = self.clock.now()
        row = intent_row(
            session_id=f"ons_{number}", wallet=wallet, source=Money(100, "usd"), fee_bps=0, config=self.rules,
            created_at=now - timedelta(seconds=1), now=now,
        ) | {"payment_status": "fulfillment_complete", "paid_at": now, "delivered_units": 5, "expected_units": OWED, "from_block": 50}  # fmt: skip
        async with self.database.write() as conn:
            await conn.execute(sa.insert(sessions), [row])

    async def step(self, blocks: int = 1) -> Any:
        """Let this number of blocks pass and the worker run; return the first session."""
        self.chain.head += blocks
        # Long enough for a node that failed to be asked again.
        self.clock.seconds += 20
        self.pool._probe._at = None
        await self.worker.step()
        async with self.database.read() as conn:
            return (await conn.execute(sa.select(sessions).order_by("id"))).first()

    async def seen(self) -> list[Any]:
        """Return every stored transfer."""
        async with self.database.read() as conn:
            return list(await conn.execute(sa.select(transfers).order_by("tx_hash")))
