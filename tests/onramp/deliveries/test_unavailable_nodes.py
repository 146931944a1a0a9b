"""Purchases while nodes are away or answer wrongly, or the chain is halted: they go on, or wait and show the reason."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from onramp.dev.chain.devchain import DevChain
from tests.support import fake_mezod, faulty_proxy
from tests.support.faulty_proxy import FaultyProxy
from tests.support.payout_service import UNIT, payout_service
from tests.support.service import Service, Start

pytestmark = pytest.mark.starts_first


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


async def wait_for_reason(service: Service, made: dict[str, Any], reason: str | None) -> dict[str, Any]:
    """Return the session once it shows this reason."""
    async with asyncio.timeout(60):
        while (found := await state(service, made))["delivery"]["reason"] != reason:
            await asyncio.sleep(0.1)
    return found


async def readiness(service: Service) -> tuple[int, str]:
    async with service.http.get(f"{service.api}/ready") as answer:
        return answer.status, await answer.text()


async def metrics(service: Service) -> str:
    async with service.http.get(f"{service.api}/metrics") as answer:
        return await answer.text()


async def test_purchases_go_on_with_any_one_provider_away(
    start: Start, sqlite_url: str, chain: DevChain, tmp_path: Path
) -> None:
    async with payout_service(start, sqlite_url, chain, tmp_path) as (service, _):
        for number, proxy in enumerate(chain.proxies):
            proxy.down = True
            assert proxy.name not in await completed(service, await buy(service, number))
            proxy.clear_faults()
        chain.proxies[1].behind = 50
        assert "beta" not in await completed(service, await buy(service, 10))
        chain.proxies[1].clear_faults()
        # Back from an outage as another chain.
        chain.proxies[2].down = True
        await asyncio.sleep(2)
        chain.proxies[2].down, chain.proxies[2].wrong_chain_id = False, 1
        assert "gamma" not in await completed(service, await buy(service, 11))


async def test_with_one_provider_left_nothing_is_confirmed_and_the_reason_is_shown(
    start: Start, sqlite_url: str, chain: DevChain, tmp_path: Path
) -> None:
    async with payout_service(start, sqlite_url, chain, tmp_path) as (service, wallet):
        before = await chain.balance(wallet.address)
        chain.proxies[0].down = chain.proxies[1].down = True
        await asyncio.sleep(1)
        made = await buy(service, 20)
        async with asyncio.timeout(60):
            while (found := await readiness(service))[0] != 503:
                await asyncio.sleep(0.3)
        assert "chain" in found[1]
        waiting = await wait_for_reason(service, made, "waiting_for_second_node")
        await asyncio.sleep(2)
        assert (await state(service, made))["delivery"] == waiting["delivery"], "nothing comes and goes while it waits"
        assert waiting["status"] == "delivering"
        assert waiting["delivery"]["status"] in {"awaiting", "seen"}
        assert await chain.balance(wallet.address) == before, "no money moves on one provider's answer"
        for proxy in chain.proxies:
            proxy.clear_faults()
        assert len(await completed(service, made)) >= 2
        assert await chain.balance(wallet.address) == before - 5 * UNIT
        async with asyncio.timeout(60):
            while (await readiness(service))[0] != 200:
                await asyncio.sleep(0.3)


async def test_providers_that_answer_only_with_their_head_are_the_reason_of_a_wait(
    start: Start, sqlite_url: str, chain: DevChain, providers: list[FaultyProxy], tmp_path: Path
) -> None:
    """Each node reports itself as up, so that readiness shows nothing: the session shows the reason."""
    urls = SecretStr(",".join(f"{one.name}={one.config.url}" for one in providers))
    async with payout_service(start, sqlite_url, chain, tmp_path, MEZO_RPC_URLS=urls) as (service, _):
        for method, status in {"eth_call": "awaiting", "eth_getTransactionReceipt": "seen"}.items():
            for one in providers[:2]:
                one.always(faulty_proxy.refused(-32603, "internal error"), method)
            # What the sender read of its wallet before may serve until the next block; from its second read on, it gets no answer.
            await chain.rpc("anvil_mine", "0x1")
            looks = providers[0].calls["eth_getTransactionCount"] + 3
            async with asyncio.timeout(60):
                while providers[0].calls["eth_getTransactionCount"] < looks:
                    await asyncio.sleep(0.05)
            made = await buy(service, 40 + len(status))
            waiting = await wait_for_reason(service, made, "waiting_for_second_node")
            assert (waiting["status"], waiting["delivery"]["status"]) == ("delivering", status), method
            await asyncio.sleep(2)
            assert (await state(service, made))["delivery"] == waiting["delivery"], (
                "nothing comes and goes while it waits"
            )
            for one in providers:
                one.clear_faults()
            await completed(service, made)
            assert (await state(service, made))["delivery"]["reason"] is None
        for one in providers[:2]:
            one.always(faulty_proxy.refused(-32603, "internal error"), "eth_getLogs")
        await completed(service, await buy(service, 42))  # a payout of ours needs receipts alone


async def test_under_a_lockdown_everything_says_so_waits_and_goes_on_by_itself(
    start: Start, sqlite_url: str, chain: DevChain, providers: list[FaultyProxy], tmp_path: Path
) -> None:
    """Known from the precompile by every process; and where that cannot be asked, from what nodes say to a transaction."""
    urls = SecretStr(",".join(f"{one.name}={one.config.url}" for one in providers))

    def refuse() -> None:
        for one in providers:
            one.always(faulty_proxy.refused(-32000, fake_mezod.LOCKDOWN), "eth_sendRawTransaction")

    async def waits_and_goes_on(service: Service, number: int) -> None:
        made = await buy(service, number)
        waiting = await wait_for_reason(service, made, "chain_paused")
        assert (waiting["status"], waiting["delivery"]["status"]) == ("delivering", "awaiting")
        await asyncio.sleep(1.5)
        assert (await state(service, made))["delivery"] == waiting["delivery"], "nothing comes and goes while it waits"
        for one in providers:
            one.clear_faults()
        await fake_mezod.set_lockdown(chain, enabled=False)
        await completed(service, made)
        assert (await state(service, made))["delivery"]["reason"] is None

    async def check_lockdown(service: Service, *, paused: bool) -> None:
        async with asyncio.timeout(60):
            while f"chain_paused {float(paused)}" not in await metrics(service):
                await asyncio.sleep(0.2)
            while (", paused: the chain refuses user transactions" in (found := await readiness(service))[1]) != paused:
                await asyncio.sleep(0.2)
        assert found[0] == 200

    refuse()
    await fake_mezod.set_lockdown(chain, enabled=True)
    async with payout_service(start, sqlite_url, chain, tmp_path, MEZO_RPC_URLS=urls) as (service, wallet):
        before = await chain.balance(wallet.address)
        await check_lockdown(service, paused=True)
        await waits_and_goes_on(service, 50)
        await check_lockdown(service, paused=False)
        refuse()
        await waits_and_goes_on(service, 51)
        assert await chain.balance(wallet.address) == before - 2 * 5 * UNIT


@pytest.mark.prove
async def test_a_chain_that_makes_no_blocks_pauses_and_goes_on(
    start: Start, sqlite_url: str, chain: DevChain, tmp_path: Path
) -> None:
    async with payout_service(start, sqlite_url, chain, tmp_path) as (service, _):
        await chain.rpc("evm_setIntervalMining", 0)
        await chain.rpc("evm_setAutomine", False)
        made = await buy(service, 30)
        async with asyncio.timeout(60):
            while "no new block" not in (await readiness(service))[1]:
                await asyncio.sleep(0.5)
        assert (await state(service, made))["status"] == "delivering"
        await wait_for_reason(service, made, "chain_paused")
        await chain.rpc("evm_setIntervalMining", 1)
        await completed(service, made)
