"""Measure a block: matching logs with sessions in memory, and storing and claiming them durably, on both databases."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from chain.abi.erc20 import TRANSFER_TOPIC, address_topic
from chain.pool.pool import Pool
from chain.reads.cursor import cursors
from chain.reads.logs import CoveredLogs
from chain.reads.transfers import TransferReader
from chain.types import BlockRef, Transfer, checksum_digits, to_checksum
from kit.clock import SystemClock
from kit.db.bulk import insert_new
from kit.db.database import Database, connect
from kit.money import Money
from onramp import migrations
from onramp.bootstrap.factories import session_config
from onramp.bootstrap.server import tune_garbage_collection
from onramp.config.loader import load
from onramp.deliveries.states import Owed, match
from onramp.deliveries.table import transfers
from onramp.deliveries.transfer_matcher import TransferMatcher, arrived_of
from onramp.sessions.config import SessionConfig
from onramp.sessions.model import intent_row
from onramp.sessions.table import sessions
from treasury.core.status import Status
from treasury.payouts.table import payouts

LOGS = 200
BLOCKS = 15
UNIT = 10**18
HOT_WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
TOKEN = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"


def rules_of(mode: str) -> SessionConfig:
    """Return the configuration of one mode, with pinned addresses."""
    return session_config(
        load(
            DELIVERY_MODE=mode, DELIVERY_SENDERS=HOT_WALLET, HOT_WALLET_ADDRESS=HOT_WALLET,
            SETTLEMENT_ADDRESS=HOT_WALLET, MUSD_TOKEN_ADDRESS=TOKEN,
        )
    )  # fmt: skip


def wallet_of(number: int) -> str:
    """Return the wallet of the buyer with this number."""
    return to_checksum(f"0x{number + 1:040x}")


def hash_of(number: int) -> str:
    """Return the hash of the transaction that pays this buyer."""
    return f"0x{number + 1:064x}"


def paid_rows(
    rules: SessionConfig, numbers: Iterable[int], to: Callable[[int], str] = wallet_of
) -> list[dict[str, Any]]:
    """Return rows of paid sessions, a millisecond apart, whose MUSD has not arrived."""
    now = SystemClock().now()
    return [
        intent_row(
            session_id=f"ons_{number}", wallet=to(number), source=Money(100, "usd"), fee_bps=0,
            config=rules, created_at=now - timedelta(seconds=1), now=now,
        )
        | {"payment_status": "fulfillment_complete", "paid_at": now - timedelta(milliseconds=number), "delivered_units": 10**6, "expected_units": UNIT}
        for number in numbers
    ]  # fmt: skip


async def waiting(database: Database, rules: SessionConfig, count: int) -> None:
    """Insert this number of paid sessions of the last hours whose MUSD has not arrived; in payout mode each has a payout in the queue."""
    now = SystemClock().now()
    async with database.write() as conn:
        for table in (transfers, cursors, payouts, sessions):
            await conn.execute(sa.delete(table))
        for start in range(0, count, 2_000):
            numbers = range(start, min(count, start + 2_000))
            await insert_new(conn, sessions, paid_rows(rules, numbers))
            if rules.mode == "payout":
                owed = [
                    {
                        "id": f"pay_{number}", "session_id": f"ons_{number}", "stripe_session_id": f"cos_{number}",
                        "wallet": HOT_WALLET, "asset": "MUSD", "token": TOKEN, "to_address": wallet_of(number), "amount": UNIT,
                        "reference": hash_of(number), "status": Status.PLANNED, "created_at": now, "updated_at": now,
                    }
                    for number in numbers
                ]  # fmt: skip
                await insert_new(conn, payouts, owed)
    if database.dialect == "postgresql":
        async with database.write() as conn:
            await conn.execute(sa.text("ANALYZE"))


async def sent(database: Database, numbers: Sequence[int]) -> None:
    """Mark their payouts as broadcast."""
    async with database.write() as conn:
        for number in numbers:
            await conn.execute(
                sa.update(payouts)
                .where(payouts.c.id == f"pay_{number}")
                .values(status=Status.BROADCAST, tx_hash=hash_of(number))
            )


def decided() -> float:
    """Return the median time in which three providers' answers for a block become matches in memory: parsed, compared, assigned to sessions."""
    rules, now = rules_of("observe"), SystemClock().now()
    reader = TransferReader(Pool([], chain_id=rules.chain_id), TOKEN, [HOT_WALLET])
    spent = []
    for block in range(1, BLOCKS + 1):
        response = orjson.dumps(
            [
                {
                    "address": TOKEN.lower(),
                    "topics": [
                        TRANSFER_TOPIC,
                        address_topic(HOT_WALLET),
                        address_topic(wallet_of(block * LOGS + place)),
                    ],
                    "data": f"0x{UNIT:064x}",
                    "transactionHash": hash_of(block * LOGS + place),
                    "logIndex": hex(place),
                    "blockNumber": hex(block),
                    "blockHash": hash_of(10**9 + block),
                    "removed": False,
                }
                for place in range(LOGS)
            ]
        )
        numbers = range(block * LOGS, (block + 1) * LOGS)
        owed = [Owed(f"ons_{number}", 1, wallet_of(number), UNIT, 0, now, observes=True) for number in numbers]
        checksum_digits.cache_clear()
        began = time.perf_counter()
        answers = [(name, CoveredLogs(orjson.loads(response), block)) for name in ("a", "b", "c")]
        found = [one for one, voices in reader._reporters(answers, block, block).items() if len(voices) >= 2]
        arrived = [arrived_of(one, rules.chain_id) for one in found]
        matches = match(owed, arrived, 0)
        spent.append((time.perf_counter() - began) * 1000)
        assert len(matches) == LOGS
    return statistics.median(spent)


async def milliseconds(database: Database, mode: str, count: int) -> float:
    """Return the median milliseconds in which a block with 200 transfers to waiting buyers is stored and matched."""
    rules = rules_of(mode)
    await waiting(database, rules, count)
    matcher = TransferMatcher(database, rules, SystemClock())
    await matcher.step()
    tune_garbage_collection()  # as the service does
    spent = []
    for block in range(BLOCKS):
        numbers = [block * LOGS + place for place in range(LOGS)]
        found = [
            Transfer(TOKEN, HOT_WALLET, wallet_of(number), UNIT, hash_of(number), place, BlockRef(block + 1, hash_of(10**9 + block)))
            for place, number in enumerate(numbers)
        ]  # fmt: skip
        if mode == "payout":
            await sent(database, numbers)
        began = time.perf_counter()
        await matcher.record(found, read_to=block + 1, head=block + 1)
        await matcher.step()
        spent.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0)
    async with database.read() as conn:
        seen = sa.select(sa.func.count()).where(sessions.c.delivery_status == "seen")
        assert (await conn.execute(seen)).scalar_one() == BLOCKS * LOGS
    return statistics.median(spent)


async def matching(folder: Path, postgres_url: str) -> list[tuple[str, ...]]:
    """Return the rows of the table, for a fresh SQLite file in the folder and for this Postgres database."""
    in_memory = f"{decided():.1f} ms"
    rows: list[tuple[str, ...]] = [("200 logs of three operators read and decided in memory", in_memory, "", "", "")]
    for name, url in (("SQLite", f"sqlite+aiosqlite:///{folder}/matching.db"), ("Postgres", postgres_url)):
        database = connect(url)
        await migrations.upgrade(database)
        for mode in ("observe", "payout"):
            few, many = [await milliseconds(database, mode, count) for count in (10_000, 100_000)]
            rows += [
                (f"200 logs kept, matched and claimed durably, 10,000 wait, {mode}, {name}", f"{few:.1f} ms", "", "", "<= 10 ms"),
                ("the same, 100,000 wait, against 10,000", f"{many:.1f} ms", f"{few:.1f} ms", f"{many / few:.2f}x", "<= 2x"),
            ]  # fmt: skip
        await database.close()
    return rows
