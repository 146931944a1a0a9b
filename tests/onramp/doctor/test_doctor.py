"""`onramp doctor` names each broken part alone, and shows no secret."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from kit.db.database import connect
from onramp.bootstrap.server import start_app
from onramp.config.loader import SettingsError, load
from onramp.config.settings import Settings
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.wallet import dev_wallet
from onramp.dev.run import SETTLEMENT
from onramp.dev.stripe.app import SandboxConfig, make_sandbox
from onramp.doctor.parts import _environment
from tests.support import faulty_proxy
from tests.support.command_line import run_onramp
from tests.support.faulty_proxy import FaultyProxy
from treasury import balances
from treasury.core.hot_wallets import HotWallet

pytestmark = pytest.mark.starts_first


@pytest.fixture
async def environment(chain: DevChain, sqlite_url: str, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """Return the environment of a healthy deployment whose treasury worker has reported the balances."""
    port = free_port()
    stripe = f"http://127.0.0.1:{port}"
    config = SandboxConfig(
        secret_key="sk_test_doctor",
        publishable_key="pk_test_doctor",
        webhook_url=None,
        webhook_secrets=("whsec_x",),
        base_url=stripe,
    )
    runner, _ = await start_app(make_sandbox(config), "127.0.0.1", port)
    wallet = dev_wallet(tmp_path)
    database = connect(sqlite_url)
    async with database.write() as conn:
        for address in (wallet.address, SETTLEMENT):
            await balances.refresh(
                conn, HotWallet(31611, address), "MUSD", amount=10**21, block_number=1, now=datetime.now(UTC)
            )  # fmt: skip
    await database.close()
    yield {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "DATABASE_URL": sqlite_url, "STRIPE_SECRET_KEY": "sk_test_doctor",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_doctor", "STRIPE_WEBHOOK_SECRETS": "whsec_x", "STRIPE_API_BASE": stripe,
        "MEZO_RPC_URLS": ",".join(chain.rpc_urls), "SETTLEMENT_ADDRESS": SETTLEMENT, "HOT_WALLET_ADDRESS": wallet.address,
        "HOT_WALLET_KEYSTORE": str(wallet.keystore), "HOT_WALLET_PASSWORD": wallet.password,
        "COLD_SAFE_ADDRESS": chain.deployment.safe, "COLD_SAFE_OWNERS": ",".join(chain.deployment.safe_owners),
    }  # fmt: skip
    await runner.cleanup()


async def doctor(environment: dict[str, str]) -> tuple[int, dict[str, bool], str]:
    done = await asyncio.to_thread(run_onramp, environment, "doctor", "--json")
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["ok"] is (done.returncode == 0)
    return done.returncode, {check["name"]: check["ok"] for check in document["checks"]}, done.stdout + done.stderr


async def test_a_healthy_service_passes(environment: dict[str, str]) -> None:
    code, checks, output = await doctor(environment)
    assert code == 0, output
    assert all(checks.values())
    assert re.search(r"dep_[0-9a-f]{32}, hot wallets so far: none", output)
    assert {
        "settings",
        "database",
        "deployment",
        "migrations",
        "redis",
        "agreement",
        "stripe",
        "signer",
        "cold_wallet",
        "inventory",
        "node:alpha",
    } <= set(checks)


BREAKS: dict[str, tuple[dict[str, str], set[str]]] = {
    "the database": ({"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:9/x"}, {"database", "migrations"}),
    "migrations": ({"DATABASE_URL": "sqlite+aiosqlite:///empty.db"}, {"migrations"}),
    "Stripe's address": ({"STRIPE_API_BASE": "http://127.0.0.1:9"}, {"stripe"}),
    "Stripe's key": ({"STRIPE_SECRET_KEY": "sk_test_hunter2"}, {"stripe"}),
    "the keystore's password": ({"HOT_WALLET_PASSWORD": "hunter2"}, {"signer"}),
    "the keystore": ({"HOT_WALLET_KEYSTORE": "/nowhere/hunter2.json"}, {"signer"}),
    "the pinned address": ({"HOT_WALLET_ADDRESS": SETTLEMENT}, {"signer"}),
    "the cold wallet's threshold": ({"COLD_SAFE_THRESHOLD": "4"}, {"cold_wallet"}),
    "a setting": ({"CHAIN_AGREEMENT": "hunter2"}, {"settings"}),
}


@pytest.mark.parametrize("what", BREAKS)
async def test_one_broken_part_is_the_only_one_named(
    environment: dict[str, str], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    changes, expected = BREAKS[what]
    code, checks, output = await doctor(environment | changes)
    assert code == 1
    assert {name for name, ok in checks.items() if not ok} == expected, output
    assert "hunter2" not in output
    assert "Traceback" not in output


async def test_a_missing_treasury_worker_is_named_with_how_to_start_it(environment: dict[str, str]) -> None:
    database = connect(environment["DATABASE_URL"])
    async with database.write() as conn:
        await conn.execute(sa.delete(balances.balances))
    await database.close()
    code, checks, output = await doctor(environment)
    assert (code, [name for name, ok in checks.items() if not ok]) == (1, ["inventory"]), output
    assert "no treasury worker has reported" in output and "`onramp work`" in output
    observing = {"DELIVERY_MODE": "observe", "DELIVERY_SENDERS": SETTLEMENT}
    assert (await doctor(environment | observing))[1]["inventory"]


async def test_a_key_that_stripe_refuses_is_named_by_its_variable(environment: dict[str, str]) -> None:
    _, _, output = await doctor(environment | {"STRIPE_SECRET_KEY": "sk_test_hunter2"})
    assert "check STRIPE_SECRET_KEY" in output


async def test_a_dead_node_is_named_and_the_others_agree(environment: dict[str, str]) -> None:
    urls = environment["MEZO_RPC_URLS"].split(",")
    code, checks, output = await doctor(
        environment | {"MEZO_RPC_URLS": ",".join([*urls[:2], "dead=http://127.0.0.1:9/hunter2hunter2"])}
    )
    assert code == 1
    assert {name for name, ok in checks.items() if not ok} == {"node:dead"}, output
    assert "hunter2" not in output
    details = {check["name"]: check["detail"] for check in json.JSONDecoder().raw_decode(output)[0]["checks"]}
    alive = r"alive, public: chain 31611, head \d+, \d behind, p50 / p95 \d+ / \d+ ms, errors: none, \d+ credits used"
    assert re.fullmatch(alive, details["node:alpha"]), details
    assert re.match(r"(cooling down|unreachable), public: .*errors: unreachable \d", details["node:dead"]), details


async def test_a_wrong_chain_is_named_and_too_few_cannot_agree(environment: dict[str, str], chain: DevChain) -> None:
    for name in ("beta", "gamma"):
        chain.proxy(name).wrong_chain_id = 1
    try:
        _, checks, output = await doctor(environment)
    finally:
        for name in ("beta", "gamma"):
            chain.proxy(name).clear_faults()
    assert {name for name, ok in checks.items() if not ok} == {"node:beta", "node:gamma", "agreement", "cold_wallet"}, (
        output
    )


def test_it_warns_of_secrets_that_can_be_guessed_and_of_no_others() -> None:
    strong = {"DATA_KEYS": SecretStr("0123456789abcdef" * 4), "JWT_SECRETS": SecretStr("fedcba9876543210" * 4)}
    names = ("DATA_KEYS", "JWT_SECRETS", "METRICS_TOKEN", "STRIPE_WEBHOOK_SECRETS")
    guessable = {"STRIPE_WEBHOOK_SECRETS": SecretStr(f"whsec_{'3f' * 16},whsec_guessme")}
    warned = _environment(load(JWT_SECRETS=SecretStr("11" * 32), METRICS_TOKEN=SecretStr("short"), **guessable))
    assert all(name in warned for name in names)
    assert "1111" not in warned and "short," not in warned and "guessme" not in warned
    strong["STRIPE_WEBHOOK_SECRETS"] = SecretStr("whsec_" + "3f" * 16)
    good = _environment(load(**strong, METRICS_TOKEN=SecretStr("a-token-of-enough-length")))
    assert not any(name in good for name in names)


def test_keyed_creation_is_recommended_in_production() -> None:
    def says(environment: Literal["development", "production"], creation: Literal["open", "keyed"]) -> str:
        return _environment(Settings.model_construct(ENVIRONMENT=environment, SESSION_CREATION=creation))

    assert "SESSION_CREATION is open" in says("production", "open")
    assert "SESSION_CREATION" not in says("production", "keyed") + says("development", "open")


def test_production_refuses_secrets_that_can_be_guessed() -> None:
    guessable = {"JWT_SECRETS": "11" * 32, "DATA_KEYS": "22" * 32, "METRICS_TOKEN": "guess-me", "STRIPE_WEBHOOK_SECRETS": "whsec_me"}  # fmt: skip
    with pytest.raises(SettingsError) as refused:
        load(ENVIRONMENT="production", **{name: SecretStr(value) for name, value in guessable.items()})
    for name, value in guessable.items():
        assert any(line.startswith(name) and "required" not in line for line in str(refused.value).split("; "))
        assert value not in str(refused.value)


async def test_a_contradicting_node_is_named_and_the_others_agree(environment: dict[str, str], chain: DevChain) -> None:
    """It is wrong about one balance only; its other answers are correct."""
    wrong = FaultyProxy("liar", chain.anvil.url)
    await wrong.start()
    try:
        wrong.always(faulty_proxy.instead("0x" + "0" * 63 + "7"), "eth_call")
        urls = ",".join([*environment["MEZO_RPC_URLS"].split(",")[:2], f"liar={wrong.config.url}"])
        code, checks, output = await doctor(environment | {"MEZO_RPC_URLS": urls})
    finally:
        await wrong.stop()
    assert code == 1
    assert not checks["node:liar"]
    assert checks["agreement"]
    assert "set aside" in output
    assert "the MUSD that the hot wallet held" in output


async def test_the_nodes_of_usdcs_chain_are_checked_if_configured(environment: dict[str, str], chain: DevChain) -> None:
    """The development chain takes the place of Ethereum, and MUSD that of USDC."""
    one, other, *_ = chain.rpc_urls
    known = environment | {
        "SETTLEMENT_RPC_URLS": f"{one},{other}", "SETTLEMENT_CHAIN_ID": "31611", "SETTLEMENT_USDC_ADDRESS": chain.deployment.musd,
    }  # fmt: skip
    _, found, output = await doctor(known)
    assert found["settlement"], output
    assert chain.deployment.musd in output
    _, found, output = await doctor(known | {"SETTLEMENT_USDC_ADDRESS": "0x" + "66" * 20})
    assert not found["settlement"], output
    assert "is SETTLEMENT_USDC_ADDRESS right?" in output
    _, found, output = await doctor(known | {"SETTLEMENT_CHAIN_ID": "1"})
    assert not found["settlement"], output
    _, found, output = await doctor(known | {"SETTLEMENT_CHAIN_ID": "5", "SETTLEMENT_USDC_ADDRESS": ""})
    assert "SETTLEMENT_USDC_ADDRESS is missing" in output


async def test_a_new_database_beside_completed_purchases_is_named(environment: dict[str, str]) -> None:
    """This works before the first start: no worker has counted them yet."""
    stripe, wallet = environment["STRIPE_API_BASE"], "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
    form = {
        "wallet_addresses[ethereum]": environment["SETTLEMENT_ADDRESS"], "lock_wallet_address": "true", "source_amount": "100",
        "source_currency": "usd", "destination_currency": "usdc", "destination_network": "ethereum",
        "destination_currencies[]": "usdc", "destination_networks[]": "ethereum",
        "metadata[onramp_session_id]": "ons_before", "metadata[onramp_wallet]": wallet, "metadata[onramp_fee_bps]": "0",
        "metadata[onramp_chain_id]": "31611", "metadata[onramp_deployment]": "dep_before",
    }  # fmt: skip
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk_test_doctor"}) as http:
        async with http.post(f"{stripe}/v1/crypto/onramp_sessions", data=form) as made:
            session = (await made.json())["id"]
        advance = {"status": "fulfillment_complete", "events": "none"}
        async with http.post(f"{stripe}/sandbox/onramp_sessions/{session}/advance", json=advance) as done:
            assert done.status == 200
    code, checks, output = await doctor(environment)
    assert (code, [name for name, ok in checks.items() if not ok]) == (1, ["deployment"]), output
    assert "1 completed purchase that this database does not know" in output
    assert "set DATABASE_URL" in output
