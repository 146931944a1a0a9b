"""`onramp contract` as an operator types it: deploy, deploy again, verify; and what the service and the doctor say of PAYOUT_CONTRACT."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from chain import payonce
from chain.abi.erc20 import encode_approve
from chain.types import to_checksum, to_hex
from onramp import migrations
from onramp.bootstrap.container import Container, open_container
from onramp.bootstrap.errors import StartError
from onramp.bootstrap.startup import prepare
from onramp.config.loader import load
from onramp.dev.chain.devchain import DevChain
from onramp.doctor import contract as doctor
from onramp.ops.health import NotWellError
from tests.support.command_line import run_onramp
from tests.support.faulty_proxy import FaultyProxy, instead
from tests.support.hot_wallet import MUSD
from tests.support.hot_wallet_environment import hot_wallet_environment
from tests.support.missing_payonce import remove_payonce
from treasury.payouts import service as payouts_service

NOWHERE = to_checksum("0x" + "66" * 20)


@pytest.fixture
def environment(chain: DevChain, sqlite_url: str, tmp_path: Path) -> dict[str, str]:
    """A service with a hot wallet that has gas, on a chain with PayOnce."""
    return hot_wallet_environment(chain, sqlite_url, tmp_path)


def test_it_is_deployed_once_and_verified(chain: DevChain, environment: dict[str, str]) -> None:
    asyncio.run(remove_payonce(chain))
    missing = run_onramp(environment, "contract", "verify", "--json")
    assert missing.returncode == 1 and "onramp contract deploy" in missing.stderr
    assert json.loads(missing.stdout)["code"] == "missing"
    done = run_onramp(environment, "contract", "deploy", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["status"], document["address"], document["chainId"]) == ("deployed", payonce.ADDRESS, 31611)
    again = run_onramp(environment, "contract", "deploy", "--json")
    assert json.loads(again.stdout) == {**document, "status": "already_deployed", "txHash": None}
    for command in ("deploy", "verify"):
        assert "onramp contract approve" in run_onramp(environment, "contract", command).stdout, "the next command"
    verified = run_onramp(environment, "contract", "verify", "--json")
    assert (verified.returncode, json.loads(verified.stdout)) == (
        0,
        {"ok": True, "address": payonce.ADDRESS, "chainId": 31611, "code": "payonce", "codeHash": payonce.CODE_HASH, "factory": True},
    )  # fmt: skip
    other = run_onramp(environment, "contract", "verify", "--address", chain.deployment.musd)
    assert other.returncode == 1 and "do not use it" in other.stderr


def test_without_a_wallet_nothing_is_deployed(environment: dict[str, str]) -> None:
    for name in ("HOT_WALLET_ADDRESS", "HOT_WALLET_KEYSTORE", "HOT_WALLET_PASSWORD"):
        del environment[name]
    refused = run_onramp(environment, "contract", "deploy")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "there is no hot wallet" in refused.stderr


@pytest.fixture
def set_environment(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Put settings into this process's environment, and return them loaded."""
    monkeypatch.chdir(tmp_path)

    def loaded(**changes: str) -> Any:
        for name, value in (environment | changes).items():
            monkeypatch.setenv(name, value)
        return load()

    return loaded


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (NOWHERE, f"has no code on chain 31611: PayOnce has the address {payonce.ADDRESS}"),
        ("MUSD", "has other code than PayOnce on chain 31611"),
        (payonce.ADDRESS, "has no code on chain 31611: deploy it with `onramp contract deploy`"),
    ],
)
async def test_a_start_with_another_contract_is_refused(
    chain: DevChain, set_environment: Callable[..., Any], address: str, says: str
) -> None:
    address = chain.deployment.musd if address == "MUSD" else address
    if address == payonce.ADDRESS:
        await remove_payonce(chain)
    async with open_container(set_environment(PAYOUT_CONTRACT=address)) as container:
        with pytest.raises(StartError, match="Nothing was started") as refused:
            await prepare(container)
        assert f"PAYOUT_CONTRACT is {address}, which {says}" in str(refused.value)
        with pytest.raises(NotWellError, match="onramp contract"):
            await doctor.payout_contract(container)


async def test_a_start_with_payonce_and_one_without_answers_go_on(
    chain: DevChain, set_environment: Callable[..., Any], providers: list[FaultyProxy]
) -> None:
    await chain.rpc("anvil_setCode", payonce.ADDRESS, payonce.artefact()["deployedBytecode"])
    await chain.rpc("anvil_mine", "0x2")
    async with open_container(set_environment(PAYOUT_CONTRACT=payonce.ADDRESS)) as container:
        await prepare(container)
    providers[0].always(instead("0x"), "eth_getCode")
    providers[1].always(instead("0x6001"), "eth_getCode")
    urls = ",".join(f"{provider.name}={provider.config.url}" for provider in providers)
    async with open_container(set_environment(PAYOUT_CONTRACT=payonce.ADDRESS, MEZO_RPC_URLS=urls)) as container:
        await prepare(container)


async def _approve(chain: DevChain, container: Container, amount: int) -> None:
    wallet = container.rules.hot_wallet
    await chain.rpc("anvil_impersonateAccount", wallet)
    data = to_hex(encode_approve(payonce.ADDRESS, amount))
    await chain.rpc("eth_sendTransaction", {"from": wallet, "to": chain.deployment.musd, "data": data})
    await chain.rpc("anvil_mine", "0x2")
    container.pool.expire_probe()


async def test_a_start_without_an_allowance_goes_on_and_raises_an_alarm_once(
    chain: DevChain, set_environment: Callable[..., Any]
) -> None:
    await chain.rpc("anvil_setCode", payonce.ADDRESS, payonce.artefact()["deployedBytecode"])
    await chain.rpc("anvil_mine", "0x2")
    labels = {"kind": "payout_allowance"}
    async with open_container(set_environment(PAYOUT_CONTRACT=payonce.ADDRESS)) as container:
        with capture_logs() as lines:
            await prepare(container)
        alarms = [line for line in lines if line["log_level"] == "critical"]
        assert [line["event"] for line in alarms] == ["treasury.payout_allowance"]
        assert "`onramp contract approve`" in alarms[0]["detail"]
        assert container.registry.get_sample_value("treasury_alarms_total", labels) == 1
        await _approve(chain, container, 1)
    async with open_container(set_environment(PAYOUT_CONTRACT=payonce.ADDRESS)) as container:
        with capture_logs() as lines:
            await prepare(container)
        assert [line for line in lines if line["log_level"] == "critical"] == []


async def test_the_doctor_says_what_stands_there_and_what_it_may_move(
    chain: DevChain, set_environment: Callable[..., Any]
) -> None:
    await chain.rpc("anvil_setCode", payonce.ADDRESS, payonce.artefact()["deployedBytecode"])
    async with open_container(set_environment(PAYOUT_CONTRACT=payonce.ADDRESS)) as container:
        wallet, token = container.rules.hot_wallet, container.rules.token
        assert wallet is not None
        await chain.rpc("anvil_mine", "0x2")
        with pytest.raises(NotWellError, match=f"{wallet} has not approved PayOnce .* `onramp contract approve`"):
            await doctor.payout_contract(container)
        await _approve(chain, container, 5 * MUSD)
        with pytest.raises(NotWellError, match=r"may move 5\.00 MUSD of .*, less than one purchase of 10000\.00 MUSD"):
            await doctor.payout_contract(container)
        for amount, says in (
            (10_000 * MUSD, "it may move 10000.00 MUSD"),
            (2**256 - 1, "it may move any amount of MUSD"),
        ):
            await _approve(chain, container, amount)
            assert says in await doctor.payout_contract(container)
        await _approve(chain, container, 10_000 * MUSD)
        await migrations.upgrade(container.database)
        async with container.database.write() as conn:
            now, to = container.clock.now(), NOWHERE
            await payouts_service.create_payout(
                conn, session_id="ons_1", stripe_session_id="cos_1", to=to, amount=10_000 * MUSD + 1, token=token, wallet=wallet, now=now,
                ids=container.ids,
            )  # fmt: skip
        with pytest.raises(NotWellError, match=r"payouts of 10000\.000000000000000001 MUSD are owed"):
            await doctor.payout_contract(container)
