"""Purchases while nodes are away, lie about the chain, or the chain itself stands still: they go on, or wait and say why."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from onramp.dev.devchain import DevChain
from tests.onramp.conftest import Service, Start
from tests.onramp.shop import UNIT, shop


async def buy(service: Service, number: int, amount: str = "5") -> dict[str, Any]:
    _, made = await service.create(walletAddress=f"0x{0xAAAA_0000 + number:040x}", sourceAmount=amount)
    fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
    service.sandbox.walk(fact, "fulfillment_complete", {})
    return made


async def state(service: Service, made: dict[str, Any]) -> dict[str, Any]:
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{made['id']}") as answer:
        body: dict[str, Any] = await answer.json()
        return body


async def completed(service: Service, made: dict[str, Any], seconds: float = 25) -> list[str]:
    async with asyncio.timeout(seconds):
        while (await state(service, made))["status"] != "completed":
            await asyncio.sleep(0.1)
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{made['id']}/delivery") as answer:
        agreed: list[str] = (await answer.json())["agreedBy"]
        return agreed


async def said(service: Service, made: dict[str, Any], reason: str | None) -> dict[str, Any]:
    """The session, once it says that it waits for this."""
    async with asyncio.timeout(60):
        while (found := await state(service, made))["delivery"]["reason"] != reason:
            await asyncio.sleep(0.1)
    return found


async def readiness(service: Service) -> tuple[int, str]:
    async with service.http.get(f"{service.api}/ready") as answer:
        return answer.status, await answer.text()


async def test_with_any_one_operator_away_purchases_go_on(
    start: Start, sqlite_url: str, chain: DevChain, tmp_path: Path
) -> None:
    async with shop(start, sqlite_url, chain, tmp_path) as (service, _):
        for number, proxy in enumerate(chain.proxies):
            proxy.down = True
            assert proxy.name not in await completed(service, await buy(service, number))
            proxy.honest()
        chain.proxies[1].behind = 50
        assert "beta" not in await completed(service, await buy(service, 10))
        chain.proxies[1].honest()
        # Back from an outage as another chain.
        chain.proxies[2].down = True
        await asyncio.sleep(2)
        chain.proxies[2].down, chain.proxies[2].wrong_chain_id = False, 1
        assert "gamma" not in await completed(service, await buy(service, 11))


async def test_with_one_operator_left_nothing_is_confirmed_and_it_says_so(
    start: Start, sqlite_url: str, chain: DevChain, tmp_path: Path
) -> None:
    async with shop(start, sqlite_url, chain, tmp_path) as (service, wallet):
        before = await chain.balance(wallet.address)
        chain.proxies[0].down = chain.proxies[1].down = True
        await asyncio.sleep(1)
        made = await buy(service, 20)
        async with asyncio.timeout(60):
            while (found := await readiness(service))[0] != 503:
                await asyncio.sleep(0.3)
        assert "chain" in found[1]
        waiting = await said(service, made, "waiting_for_second_node")
        await asyncio.sleep(2)
        assert (await state(service, made))["delivery"] == waiting["delivery"], "nothing comes and goes while it waits"
        assert waiting["status"] == "delivering"
        assert waiting["delivery"]["status"] in {"awaiting", "seen"}
        assert await chain.balance(wallet.address) == before, "no money moves on the word of one"
        for proxy in chain.proxies:
            proxy.honest()
        assert len(await completed(service, made)) >= 2
        assert await chain.balance(wallet.address) == before - 5 * UNIT
        async with asyncio.timeout(60):
            while (await readiness(service))[0] != 200:
                await asyncio.sleep(0.3)


@pytest.mark.prove
async def test_a_chain_that_makes_no_blocks_pauses_and_goes_on(
    start: Start, sqlite_url: str, chain: DevChain, tmp_path: Path
) -> None:
    async with shop(start, sqlite_url, chain, tmp_path) as (service, _):
        await chain.rpc("evm_setIntervalMining", 0)
        await chain.rpc("evm_setAutomine", False)
        made = await buy(service, 30)
        async with asyncio.timeout(60):
            while "no new block" not in (await readiness(service))[1]:
                await asyncio.sleep(0.5)
        assert (await state(service, made))["status"] == "delivering"
        await said(service, made, "chain_paused")
        await chain.rpc("evm_setIntervalMining", 1)
        await completed(service, made)
