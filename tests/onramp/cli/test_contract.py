"""`onramp contract` as an operator types it: deploy, deploy again, verify; and what the service and the doctor say of PAYOUT_CONTRACT."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chain import payonce
from chain.abi.erc20 import encode_approve
from chain.types import to_checksum, to_hex
from onramp.bootstrap.container import open_container
from onramp.bootstrap.errors import StartError
from onramp.bootstrap.startup import prepare
from onramp.config.loader import load
from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.wallet import dev_wallet
from onramp.doctor import contract as doctor
from onramp.ops.health import NotWellError
from tests.support.command_line import run_onramp
from tests.support.faulty_proxy import FaultyProxy, instead
from tests.support.missing_payonce import remove_payonce

NOWHERE = to_checksum("0x" + "66" * 20)


@pytest.fixture
def environment(chain: DevChain, sqlite_url: str, tmp_path: Path) -> dict[str, str]:
    """A service with a hot wallet that has gas, on a chain with PayOnce."""
    wallet = dev_wallet(tmp_path)
    asyncio.run(chain.fund_gas(wallet.address, 10**18))
    return {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "DATABASE_URL": sqlite_url, "MEZO_RPC_URLS": ",".join(chain.rpc_urls),
        "HOT_WALLET_ADDRESS": wallet.address, "HOT_WALLET_KEYSTORE": str(wallet.keystore), "HOT_WALLET_PASSWORD": wallet.password,
    }  # fmt: skip


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


async def test_the_doctor_says_what_stands_there_and_what_it_may_move(
    chain: DevChain, set_environment: Callable[..., Any]
) -> None:
    await chain.rpc("anvil_setCode", payonce.ADDRESS, payonce.artefact()["deployedBytecode"])
    async with open_container(set_environment(PAYOUT_CONTRACT=payonce.ADDRESS)) as container:
        wallet = container.rules.hot_wallet
        assert wallet is not None
        await chain.rpc("anvil_mine", "0x2")
        text = await doctor.payout_contract(container)
        assert "payouts do not use it yet" in text and f"{wallet} has not approved it" in text
        await chain.rpc("anvil_impersonateAccount", wallet)
        for amount, says in ((5 * 10**18, "it may move 5.00 MUSD"), (2**256 - 1, "it may move any amount of MUSD")):
            data = to_hex(encode_approve(payonce.ADDRESS, amount))
            await chain.rpc("eth_sendTransaction", {"from": wallet, "to": chain.deployment.musd, "data": data})
            await chain.rpc("anvil_mine", "0x2")
            container.pool.expire_probe()
            assert says in await doctor.payout_contract(container)
