"""`onramp doctor` reports in advance what would fail: the token, the hot wallet, the workers, events, clocks, and writes."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web

from chain.types import to_checksum
from kit.db.database import connect
from kit.db.inserts import insert_or_ignore
from kit.db.types import db_now
from kit.heartbeats import service as heartbeats_service
from kit.ids import RandomIds
from kit.money import Money
from onramp.bootstrap.factories import session_config
from onramp.bootstrap.server import start_app
from onramp.bootstrap.workers import WORKERS
from onramp.config.loader import load
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.wallet import dev_wallet
from onramp.dev.run import SETTLEMENT
from onramp.doctor.parts import LIMIT_SECONDS, Finding, examine
from onramp.sessions.model import intent_row
from onramp.sessions.table import sessions
from onramp.treasury import policy_source
from onramp.webhooks.table import inbox
from treasury.core.hot_wallets import HotWallet
from treasury.core.leader import leaders
from treasury.payouts import service as payouts_service
from treasury.policy import service as policy_service
from treasury.policy.parser import DEVELOPMENT

BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
NOWHERE = to_checksum("0x" + "66" * 20)
"""An address without a contract."""
Examine = Callable[..., Awaitable[dict[str, Finding]]]
NEW = frozenset({"token", "hot_wallet", "clock", "database_writes", "workers", "webhooks"})


@pytest.fixture
async def wallet(tmp_path: Path) -> str:
    return dev_wallet(tmp_path).address


@pytest.fixture
async def look(
    chain: DevChain, database_url: str, tmp_path: Path, wallet: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Examine]:
    """Examine a service on real nodes and a real database, whose Stripe answers nothing but its time; by the names of the findings."""
    port = free_port()
    runner, _ = await start_app(web.Application(), "127.0.0.1", port)
    key = dev_wallet(tmp_path)
    known = {
        "DATABASE_URL": database_url, "STRIPE_SECRET_KEY": "sk_test_doctor", "STRIPE_PUBLISHABLE_KEY": "pk_test_doctor",
        "STRIPE_WEBHOOK_SECRETS": "whsec_x", "STRIPE_API_BASE": f"http://127.0.0.1:{port}", "MEZO_RPC_URLS": ",".join(chain.rpc_urls),
        "SETTLEMENT_ADDRESS": SETTLEMENT, "HOT_WALLET_ADDRESS": wallet, "HOT_WALLET_KEYSTORE": str(key.keystore),
        "HOT_WALLET_PASSWORD": key.password, "COLD_SAFE_ADDRESS": chain.deployment.safe,
        "COLD_SAFE_OWNERS": ",".join(chain.deployment.safe_owners),
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)

    async def run_checks(**changes: str) -> dict[str, Finding]:
        for name in set(os.environ) - {"PATH", "HOME", "TMPDIR"}:
            monkeypatch.delenv(name)
        for name, value in (known | changes).items():
            monkeypatch.setenv(name, value)
        return {one.name: one for one in await examine()}

    yield run_checks
    await runner.cleanup()


async def stored(url: str, *statements: Any) -> None:
    database = connect(url)
    async with database.write() as conn:
        for statement in statements:
            await conn.execute(statement)
    await database.close()


def unwell(found: dict[str, Finding]) -> set[str]:
    return {name for name in NEW if not found[name].ok}


async def test_a_new_deployment_passes_every_check(look: Examine) -> None:
    found = await look()
    assert not unwell(found), found
    assert "is MUSD on chain 31611" in found["token"].detail
    assert "nothing can be sold before it is funded" in found["hot_wallet"].detail
    assert "no process of the service was seen" in found["workers"].detail
    assert "none was ever taken in" in found["webhooks"].detail


@pytest.mark.parametrize("mode", ["payout", "observe"])
async def test_a_token_without_a_contract_fails(look: Examine, mode: str) -> None:
    observing = {"DELIVERY_MODE": "observe", "DELIVERY_SENDERS": SETTLEMENT} if mode == "observe" else {}
    found = await look(MUSD_TOKEN_ADDRESS=NOWHERE, **observing)
    assert not found["token"].ok
    assert f"there is no contract at {NOWHERE}, named by MUSD_TOKEN_ADDRESS" in found["token"].detail


async def test_a_contract_that_is_not_musd_fails(look: Examine, chain: DevChain) -> None:
    found = await look(MUSD_TOKEN_ADDRESS=chain.deployment.safe)
    assert not found["token"].ok
    assert "answers nothing to decimals(), not 18" in found["token"].detail
    assert "calls itself '', not MUSD" in found["token"].detail


async def test_the_token_must_be_that_of_the_active_policy_and_of_open_payouts(
    look: Examine, chain: DevChain, database_url: str, wallet: str
) -> None:
    musd = chain.deployment.musd
    settings = load(MUSD_TOKEN_ADDRESS=musd, HOT_WALLET_ADDRESS=wallet, SETTLEMENT_ADDRESS=SETTLEMENT)
    rules = session_config(settings)
    database = connect(database_url)
    now = datetime.now(UTC)
    async with database.write() as conn:
        terms = policy_source.terms_of(settings, rules)
        scope = HotWallet(31611, wallet).key
        await policy_service.propose(conn, terms, scope=scope, now=now, ids=RandomIds())
    async with database.write() as conn:
        await payouts_service.create_payout(
            conn, session_id="ons_1", stripe_session_id="cos_1", to=BUYER, amount=5, token=musd, wallet=wallet, now=now, ids=RandomIds()
        )  # fmt: skip
    await database.close()
    assert not unwell(await look())
    found = await look(MUSD_TOKEN_ADDRESS=NOWHERE)
    detail = found["token"].detail
    assert not found["token"].ok
    assert f"MUSD_TOKEN_ADDRESS is {NOWHERE}, and active policy version 1 pays out {musd}" in detail
    assert f"1 open payouts are owed in {musd}" in detail
    assert f"there is no contract at {NOWHERE}" in detail
    assert found["treasury_policy"].ok
    assert "propose another, which loosens" in found["treasury_policy"].detail


async def test_a_proposed_policy_is_checked_before_it_is_active(look: Examine, tmp_path: Path) -> None:
    file = tmp_path / "treasury.toml"
    file.write_text(
        f'{DEVELOPMENT}[assets.USDC]\naddress = "{NOWHERE}"\ndecimals = 6\nfloor = "1"\ntarget = "2"\nceiling = "3"\n'
    )
    found = await look(TREASURY_POLICY=str(file))
    assert not found["token"].ok, found["treasury_policy"]
    assert f"there is no contract at {NOWHERE}, named by USDC of the policy file" in found["token"].detail


async def test_a_wallet_that_sells_and_has_no_gas_fails(look: Examine, chain: DevChain, wallet: str) -> None:
    await chain.mint(wallet, 100 * 10**18)
    found = await look()
    assert not found["hot_wallet"].ok
    assert "send BTC to it, or no buyer is paid" in found["hot_wallet"].detail
    await chain.fund_gas(wallet, 10**18)
    assert (await look())["hot_wallet"].detail == f"{wallet} holds 100.00 MUSD and 1.00 BTC"


async def test_payouts_of_another_wallet_that_have_not_ended_fail(
    look: Examine, database_url: str, chain: DevChain
) -> None:
    database = connect(database_url)
    async with database.write() as conn:
        await payouts_service.create_payout(
            conn, session_id="ons_1", stripe_session_id="cos_1", to=BUYER, amount=5, token=chain.deployment.musd, wallet=SETTLEMENT,
            now=datetime.now(UTC), ids=RandomIds(),
        )  # fmt: skip
    await database.close()
    found = await look()
    assert not found["hot_wallet"].ok
    assert f"1 payouts and sweeps of {SETTLEMENT} have not ended" in found["hot_wallet"].detail


async def test_workers_that_do_not_run_and_a_wallet_without_a_leader_fail(
    look: Examine, database_url: str, wallet: str
) -> None:
    async def beat(names: Iterable[str]) -> None:
        database = connect(database_url)
        async with database.write() as conn:
            await heartbeats_service.beat(conn, "a process", dict.fromkeys(names, 0.0))
        await database.close()

    await beat({"janitor", "deliveries"})
    found = await look()
    assert not found["workers"].ok
    assert (
        "no process runs the worker inbox" in found["workers"].detail and "run `onramp work`" in found["workers"].detail
    )
    assert "janitor" not in found["workers"].detail
    await beat(WORKERS)
    found = await look()
    assert not found["workers"].ok
    assert "no process leads the hot wallet" in found["workers"].detail
    database = connect(database_url)
    async with database.write() as conn:
        row = {"id": f"31611:{wallet}", "token": 1, "owner": "one"}
        await insert_or_ignore(conn, leaders, [row], ["id"])
        await conn.execute(sa.update(leaders).values(lease_until=db_now(60)))
    await database.close()
    await beat(WORKERS)
    found = await look()
    assert found["workers"].ok and "the hot wallet is led" in found["workers"].detail, found["workers"]


async def test_a_clock_that_is_not_stripes_fails(look: Examine) -> None:
    async def late(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=401, headers={"Date": format_datetime(datetime.now(UTC) - timedelta(minutes=10), usegmt=True)}
        )

    app, port = web.Application(), free_port()
    app.router.add_route("*", "/{path:.*}", late)
    runner, _ = await start_app(app, "127.0.0.1", port)
    found = await look(STRIPE_API_BASE=f"http://127.0.0.1:{port}")
    await runner.cleanup()
    assert not found["clock"].ok
    assert "ahead of Stripe's: set it" in found["clock"].detail
    assert "agrees with the database's" in (await look())["clock"].detail


async def test_paid_purchases_without_one_event_fail(look: Examine, database_url: str, wallet: str) -> None:
    rules = session_config(load(HOT_WALLET_ADDRESS=wallet, SETTLEMENT_ADDRESS=SETTLEMENT))
    paid_at = datetime.now(UTC) - timedelta(hours=1)
    row = intent_row(
        rules, session_id="ons_1", wallet=BUYER, source=Money(100, "usd"), fee_bps=0, created_at=paid_at, now=paid_at
    ) | {"stripe_session_id": "cos_1", "payment_status": "fulfillment_complete", "paid_at": paid_at}  # fmt: skip
    await stored(database_url, sa.insert(sessions).values(row))
    found = await look()
    assert not found["webhooks"].ok
    assert "1 purchases of the last day were paid and none of their events was taken in" in found["webhooks"].detail
    event = {
        "id": "evt_1", "type": "crypto.onramp_session.updated", "stripe_session_id": "cos_1", "body_sha256": "0" * 64,
        "created_at": paid_at, "received_at": paid_at, "state": "handled", "due_at": paid_at,
    }  # fmt: skip
    await stored(database_url, sa.insert(inbox).values(event))
    assert (await look())["webhooks"].ok


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_database_that_takes_no_writes_fails(look: Examine, database_url: str) -> None:
    well = (await look())["database_writes"].detail
    assert re.fullmatch(
        r"takes writes, statement_timeout [1-9]\d*s, lock_timeout [1-9]\d*s, idle_in_transaction_session_timeout [1-9]\d*s",
        well,
    )
    name = sa.engine.make_url(database_url).database
    await stored(database_url, sa.text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    found = await look()
    assert not found["database_writes"].ok
    assert "let DATABASE_URL name the primary" in found["database_writes"].detail


async def test_it_leaves_nothing_in_the_database(look: Examine, database_url: str) -> None:
    await look()
    database = connect(database_url)
    async with database.read() as conn:
        names = await conn.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    await database.close()
    assert "doctor_was_here" not in names


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_it_ends_in_time_whatever_hangs(look: Examine) -> None:
    """Each of these servers accepts the connection and stays silent."""
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    silent = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    began = time.monotonic()
    nodes = ",".join(f"{name}=http://{silent}/{name}" for name in ("alpha", "beta"))
    found = await look(
        MEZO_RPC_URLS=nodes, STRIPE_API_BASE=f"http://{silent}", REDIS_URL=f"redis://{silent}/0", DATABASE_URL=f"postgresql://u:p@{silent}/x"
    )  # fmt: skip
    took = time.monotonic() - began
    server.close()
    assert {"database", "redis", "agreement", "stripe"} <= {name for name, one in found.items() if not one.ok}, found
    assert took < 3 * LIMIT_SECONDS


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_payout_contract_has_a_line_which_says_what_direct_transfers_lack_where_none_is_set(
    look: Examine, chain: DevChain
) -> None:
    direct = (await look())["payout_contract"]
    assert direct.ok and "payouts are direct transfers" in direct.detail and "onramp contract verify" in direct.detail
    assert "payout_contract" not in await look(DELIVERY_MODE="observe", DELIVERY_SENDERS=SETTLEMENT)
    found = (await look(PAYOUT_CONTRACT=chain.deployment.payonce))["payout_contract"]
    assert not found.ok and "has not approved PayOnce" in found.detail and "`onramp contract approve`" in found.detail
    found = (await look(PAYOUT_CONTRACT=NOWHERE))["payout_contract"]
    assert not found.ok and "onramp contract verify" in found.detail
