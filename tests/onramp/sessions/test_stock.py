"""Ready means able to sell: the hot wallet's balance must be known and recent."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from kit.clock import SystemClock
from kit.db.database import Database
from onramp.dev.chain.devchain import DevChain
from onramp.ops.health import DegradedError, Health
from onramp.sessions.stock import BELIEVED_FOR
from onramp.sessions.table import sessions
from tests.support.clocks import OffsetClock
from tests.support.payout_service import funded_wallet
from tests.support.service import HOT_WALLET, Service, Start, replica
from treasury import balances as inventory
from treasury.balances import balances
from treasury.core.hot_wallets import HotWallet

UNIT = 10**18
NO_BLOCK = "no treasury worker has reported the hot wallet's balance yet"


async def report(database: Database, age: timedelta = timedelta(0), amount: int = 1_000 * UNIT) -> None:
    """Report a balance as a treasury worker does, read this long ago."""
    async with database.write() as conn:
        await conn.execute(sa.delete(balances))
        await inventory.refresh(
            conn, HotWallet(31611, HOT_WALLET), "MUSD", amount=amount, block_number=1,
            now=datetime.now(UTC) - age,
        )  # fmt: skip


async def part(service: Service, detail: str) -> dict[str, Any]:
    """Return the part `inventory` of /ready, once its detail contains this text."""
    async with asyncio.timeout(60):
        while True:
            async with service.http.get(f"{service.api}/ready") as answer:
                parts = {item["name"]: item for item in (await answer.json())["parts"]}
            if detail in parts["inventory"]["detail"]:
                found: dict[str, Any] = parts["inventory"]
                return found
            await asyncio.sleep(0.1)


async def test_nothing_is_sold_before_a_worker_has_reported_the_balance(start: Start, database_url: str) -> None:
    service = await start(url=database_url)
    key = "0b0a4f2e-7d1c-4a53-9d0e-3f4b8f1f6c11"
    _, begun = await service.create(key)
    async with service.database.write() as conn:
        await conn.execute(sa.delete(balances))
    body = {"walletAddress": begun["walletAddress"], "sourceAmount": "5", "sourceCurrency": "usd"}
    async with service.http.post(f"{service.api}/api/v1/onramp/sessions", json=body) as answer:
        problem = await answer.json(content_type=None)
        assert (answer.status, problem["code"]) == (503, "inventory_unknown")
        assert int(answer.headers["Retry-After"]) > 0
        assert "Nothing was charged" in problem["detail"]
    assert await service.stored() == 1
    assert (await service.create(key))[1]["id"] == begun["id"], "what was sold before is answered again"
    found = await part(service, NO_BLOCK)
    assert not found["ok"] and "`onramp work`" in found["detail"]
    await report(service.database)
    assert (await service.create())[0] == 201
    assert (await part(service, "is known"))["ok"]


async def test_a_balance_that_was_not_read_for_long_is_not_stock(start: Start, database_url: str) -> None:
    service = await start(url=database_url)
    await report(service.database, BELIEVED_FOR - timedelta(minutes=1))
    assert (await service.create())[0] == 201
    await report(service.database, BELIEVED_FOR + timedelta(minutes=1))
    status, problem = await service.create()
    assert (status, problem["code"]) == (503, "inventory_unknown")
    assert not (await part(service, "for 16 minutes"))["ok"]


async def test_in_observe_mode_no_stock_is_required(start: Start) -> None:
    service = await start(DELIVERY_MODE="observe", DELIVERY_SENDERS=HOT_WALLET)
    async with service.database.write() as conn:
        await conn.execute(sa.delete(balances))
    assert (await service.create())[0] == 201
    assert (await part(service, "not needed"))["ok"]


async def begun(service: Service, status: str, *amounts: str, currency: str = "usd") -> None:
    """Insert purchases that reached this status a moment ago."""
    for amount in amounts:
        code, made = await service.create(sourceAmount=amount, sourceCurrency=currency)
        assert code == 201, made
        values = {"payment_status": status, "payment_updated_at": datetime.now(UTC)}
        async with service.database.write() as conn:
            await conn.execute(sa.update(sessions).where(sessions.c.id == made["id"]).values(**values))


async def test_unpaid_sessions_cannot_reserve_the_whole_stock(start: Start, database_url: str) -> None:
    service = await start(url=database_url, stock=1_000 * UNIT)
    await begun(service, "requires_payment", *["500"] * 5)
    await begun(service, "requires_payment", "300", currency="eur")
    assert (await service.create(sourceAmount="500.01"))[1]["code"] == "inventory_low"
    assert (await service.create(sourceAmount="500"))[0] == 201
    await begun(service, "fulfillment_processing", "400")
    # Buyers who are paying leave 600, and half of that is available to others.
    assert (await service.create(sourceAmount="300.01"))[1]["code"] == "inventory_low"
    assert (await service.create(sourceAmount="300"))[0] == 201
    async with service.database.write() as conn:
        await conn.execute(sa.update(sessions).values(payment_status="fulfillment_processing"))
    assert (await service.create(sourceAmount="1"))[1]["code"] == "inventory_low", (
        "what is paid for is promised in full"
    )


async def test_a_few_at_the_payment_page_reserve_all_that_they_asked_for(start: Start) -> None:
    service = await start(stock=1_000 * UNIT)
    await begun(service, "requires_payment", "100", "200")
    assert (await service.create(sourceAmount="700.01"))[1]["code"] == "inventory_low"
    assert (await service.create(sourceAmount="700"))[0] == 201


async def test_a_sold_out_wallet_is_a_line_of_ready_and_does_not_take_the_api_out(start: Start) -> None:
    service = await start(stock=UNIT // 2)
    status, problem = await service.create(sourceAmount="1")
    assert (status, problem["code"]) == (503, "inventory_low")
    assert not (await part(service, "sold out"))["ok"]

    async def sold_out() -> str:
        raise DegradedError("sold out")

    health = Health({"inventory": (sold_out, True)}, SystemClock())
    assert not health.ready, "not asked yet"
    await health.measure()
    assert (health.ready, health.status) == (True, "degraded")


async def test_an_api_alone_is_ready_once_a_treasury_worker_runs_beside_it(
    start: Start, sqlite_url: str, chain: DevChain, tmp_path: Path
) -> None:
    _, settings = await funded_wallet(chain, tmp_path)
    service = await start(**settings)

    async def ready() -> tuple[int, list[str]]:
        async with service.http.get(f"{service.api}/ready") as answer:
            parts = (await answer.json())["parts"]
            return answer.status, [item["name"] for item in parts if not item["ok"]]

    async with asyncio.timeout(60):
        while await ready() != (503, ["inventory"]):
            await asyncio.sleep(0.1)
    assert (await service.create())[1]["code"] == "inventory_unknown"
    async with replica(sqlite_url, service, OffsetClock(), ("treasury",), **settings):
        async with asyncio.timeout(60):
            while (found := await ready()) != (200, []):
                assert found == (503, ["inventory"])
                await asyncio.sleep(0.1)
        assert (await service.create(sourceAmount="1"))[0] == 201


async def test_readiness_changes_at_once_and_not_at_the_next_round(start: Start, chain: DevChain) -> None:
    service = await start(MEZO_RPC_URLS=SecretStr(",".join(chain.rpc_urls)), CHAIN_AGREEMENT=2)
    async with service.database.write() as conn:
        await conn.execute(sa.delete(balances))
    await part(service, NO_BLOCK)
    async with asyncio.timeout(60):
        while await statuses(service) != [503]:
            await asyncio.sleep(0.1)
    await report(service.database)
    assert await statuses(service, 20) == [200]


async def statuses(service: Service, probes: int = 1) -> list[int]:
    """Return the statuses that /ready gives to this number of concurrent probes, each once."""

    async def ask() -> int:
        async with service.http.get(f"{service.api}/ready") as answer:
            unwell = [item["name"] for item in (await answer.json())["parts"] if not item["ok"]]
            return int(answer.status) if unwell in ([], ["inventory"]) else 0

    return sorted(set(await asyncio.gather(*(ask() for _ in range(probes)))))
