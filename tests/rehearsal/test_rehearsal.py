"""A rehearsal of production: purchases go on behind HAProxy while processes are killed and replaced and Postgres is restarted.

No buyer is paid twice or not at all, no client's request fails for good, and payouts pause for less than two seconds, except where the
process that signs was killed and its lease has to end first.
"""

import asyncio
import secrets
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from chain.abi.erc20 import TRANSFER_TOPIC
from tests.support.rehearsal_topology import APIS, TREASURIES, WORKERS, Topology, topology, transfers

pytestmark = [
    pytest.mark.prove,
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed: the rehearsal was not run"),
]
RATE: Final = 4
"""Purchases a second; two cores carry the whole topology and its clients."""
TRIES: Final = 6
GAP_SECONDS: Final = 2.0
LEASE_SECONDS: Final = 35.0
"""The lease of a killed leader, and what its successor needs to begin."""


@dataclass
class Outcome:
    """What clients saw in one part of the rehearsal."""

    name: str
    began: float
    bought: int = 0
    completed: int = 0
    retried: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    gap: float = 0.0
    """The longest time without a payout while purchases waited to be paid."""

    def line(self) -> str:
        """Return one row of the table."""
        ranked = sorted(self.seconds)
        p50, p95 = (ranked[int(len(ranked) * part)] if ranked else 0.0 for part in (0.5, 0.95))
        return (
            f"{self.name:34} {self.completed:4} of {self.bought:4}  failed {len(self.failed)}  retried {sum(self.retried.values()):3} "
            f"{self.retried or ''}  paid to completed p50 {p50:.1f} s, p95 {p95:.1f} s  longest gap {self.gap:.1f} s"
        )


class Shop:
    """Buyers' browsers: each creates one session with one key, and retries as the responses say."""

    def __init__(self, running: Topology, http: aiohttp.ClientSession) -> None:
        self.running = running
        self.http = http
        self.owed: dict[str, int] = {}
        self.waiting: dict[str, float] = {}
        """Wallets that have paid and hold nothing yet, and since when."""
        self.paid_at: dict[str, float] = {}

    async def buy(self, outcome: Outcome) -> None:
        """Make one purchase and follow it to its end."""
        buyer, cents = "0x" + secrets.token_hex(20), 1_000 + secrets.randbelow(9_000)
        amount = f"{cents // 100}.{cents % 100:02}"
        body = {"walletAddress": buyer, "sourceAmount": amount, "sourceCurrency": "usd"}
        outcome.bought += 1
        made = await self.ask(
            outcome, "POST", "/api/v1/onramp/sessions", json=body, headers={"Idempotency-Key": secrets.token_hex(16)}
        )
        if made is None:
            return
        self.owed[buyer] = cents * 10**16
        sandbox = self.running.sandbox
        sandbox.walk(
            sandbox.store.get(made["payment"]["stripeSessionId"]),
            "fulfillment_complete",
            {"destination_amount": amount},
        )
        self.waiting[buyer] = began = time.monotonic()
        async with asyncio.timeout(120):
            while True:
                await asyncio.sleep(0.5)
                seen = await self.ask(outcome, "GET", f"/api/v1/onramp/sessions/{made['id']}")
                if seen is not None and seen["status"] == "completed":
                    break
        outcome.completed += 1
        outcome.seconds.append(time.monotonic() - began)

    async def ask(self, outcome: Outcome, method: str, path: str, **more: Any) -> Any:
        """Return the response's JSON after at most TRIES tries, or None with the failure recorded."""
        last = ""
        for _ in range(TRIES):
            try:
                async with self.http.request(method, self.running.api + path, **more) as answer:
                    if answer.status < 300:
                        return await answer.json()
                    document = await answer.text()
                    last = f"{answer.status} {document[:200]}"
                    wait = float(answer.headers.get("Retry-After", "1"))
                    if answer.status not in {409, 429, 502, 503, 504}:
                        break
            except (aiohttp.ClientError, TimeoutError) as error:
                last, wait = type(error).__name__, 0.5
            outcome.retried[last.partition(" ")[0]] = outcome.retried.get(last.partition(" ")[0], 0) + 1
            await asyncio.sleep(wait)
        outcome.failed.append(f"{method} {path}: {last}")
        return None

    async def watch(self, outcome: Outcome) -> None:
        """Record when each buyer is paid on the chain, and the longest time without a payment while buyers waited."""
        last = time.monotonic()
        while True:
            logs = await transfers(self.running.chain, self.running.wallet, TRANSFER_TOPIC)
            now = time.monotonic()
            new = [to for to in ("0x" + entry["topics"][2][-40:] for entry in logs) if to not in self.paid_at]
            for to in new:
                self.paid_at[to] = now
                self.waiting.pop(to, None)
            # A purchase is owed from when it is paid; before the first one waits there is nothing to pay.
            since = max(last, min(self.waiting.values(), default=now))
            outcome.gap = max(outcome.gap, now - since)
            if new:
                last = now
            await asyncio.sleep(0.1)


async def part(shop: Shop, name: str, count: int, disturb: Any = None) -> Outcome:
    """Make `count` purchases at RATE a second while `disturb` runs."""
    outcome = Outcome(name, time.monotonic())
    watching = asyncio.create_task(shop.watch(outcome))
    disturbing = asyncio.create_task(disturb()) if disturb is not None else None
    buying = []
    bought = 0
    while bought < count or (disturbing is not None and not disturbing.done()):
        buying.append(asyncio.create_task(shop.buy(outcome)))
        bought += 1
        await asyncio.sleep(1 / RATE)
    await asyncio.gather(*buying)
    if disturbing is not None:
        await disturbing
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    print("\n" + outcome.line(), flush=True)
    return outcome


async def test_the_rehearsal(tmp_path: Path) -> None:
    async with topology(tmp_path) as running, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as http:
        shop = Shop(running, http)
        outcomes: dict[str, Outcome] = {}

        async def kill_each() -> None:
            for name in (APIS[0], TREASURIES[0], WORKERS[0], WORKERS[1], APIS[1]):
                await asyncio.sleep(3)
                await running.replace(name, signal.SIGKILL)

        async def restart_each() -> None:
            # The leader as well, wherever it is by then.
            for name in running.members:
                await asyncio.sleep(2)
                seconds = await running.replace(name, signal.SIGTERM)
                assert seconds < (25 if name in APIS else 10), f"{name} took {seconds:.1f} s to end"

        async def restart_postgres() -> None:
            await asyncio.sleep(5)
            await asyncio.to_thread(running.postgres.restart)
            await asyncio.sleep(5)

        outcomes["steady"] = await part(shop, "undisturbed", 200)
        outcomes["term"] = await part(shop, "each process replaced by SIGTERM", 100, restart_each)
        outcomes["postgres"] = await part(shop, "Postgres restarted", 100, restart_postgres)
        outcomes["kill"] = await part(shop, "kill -9 of each process in turn", 100, kill_each)
        logs = await transfers(running.chain, running.wallet, TRANSFER_TOPIC)
        paid = [("0x" + entry["topics"][2][-40:], int(entry["data"], 16)) for entry in logs]
        assert sorted(paid) == sorted(shop.owed.items()), "each buyer is paid once, to the unit"
        for outcome in outcomes.values():
            assert outcome.failed == [], outcome.line()
            assert outcome.completed == outcome.bought, outcome.line()
        for name in ("steady", "term", "postgres"):
            assert outcomes[name].gap <= GAP_SECONDS, outcomes[name].line()
        assert outcomes["kill"].gap <= LEASE_SECONDS, outcomes["kill"].line()
