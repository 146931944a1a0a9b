"""Another hot wallet in the settings: no start succeeds while the earlier one has open operations, and its remaining accounts are shown."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from onramp.bootstrap.errors import StartError
from tests.support.clocks import OffsetClock
from tests.support.operators import make_key, operator_client
from tests.support.service import HOT_WALLET, Service, Start, replica
from tests.support.treasury_commands import run_treasury_async
from treasury import balances
from treasury.core.hot_wallets import HotWallet
from treasury.core.status import Status
from treasury.ledger import usdc as usdc_books
from treasury.payouts.table import payouts
from treasury.reconciliation import reconcile

BEFORE = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"


def owed(number: int, status: Status, wallet: str = BEFORE) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "id": f"pay_{number}", "session_id": f"ons_{number}", "stripe_session_id": "cos_1", "wallet": wallet, "asset": "MUSD",
        "token": BEFORE, "to_address": BEFORE, "amount": 1, "reference": f"0x{number:064x}", "status": status,
        "created_at": now, "updated_at": now,
    }  # fmt: skip


async def test_nothing_starts_while_another_wallet_has_something_to_finish(start: Start, sqlite_url: str) -> None:
    service = await start()
    over = [Status.FINAL, Status.CANCELLED, Status.REJECTED, Status.REVERTED]
    rows = [owed(number, status) for number, status in enumerate(over)]
    rows += [owed(10, Status.HELD), owed(11, Status.BROADCAST), owed(12, Status.HELD, HOT_WALLET)]
    async with service.database.write() as conn:
        await conn.execute(sa.insert(payouts), rows)
    with pytest.raises(StartError) as refused:
        async with replica(sqlite_url, service, OffsetClock(), ()):
            pytest.fail("it started")
    output = str(refused.value)
    assert f"pay_10 of {BEFORE}: held" in output
    assert f"pay_11 of {BEFORE}: broadcast" in output
    assert output.count("pay_") == 2
    async with service.database.write() as conn:
        await conn.execute(sa.update(payouts).values(status=Status.FINAL))
    async with replica(sqlite_url, service, OffsetClock(), ()):
        pass


async def before(service: Service, *, musd: int = 0, gas: int = 0, usdc: int = 0) -> None:
    """Record an earlier wallet that paid, with amounts that the ledger still has."""
    now = datetime.now(UTC)
    async with service.database.write() as conn:
        for asset, amount in (("MUSD", musd), ("BTC", gas)):
            await balances.refresh(conn, HotWallet(31611, BEFORE), asset, amount=amount, block_number=1, now=now)
            await reconcile(conn, BEFORE, asset, amount, 1, now=now)
        if usdc:
            await usdc_books.post_receivable(conn, "ons_before", usdc, wallet=BEFORE, now=now)


async def test_the_remaining_accounts_of_an_earlier_wallet_are_shown_until_cleared(service: Service) -> None:
    await before(service, musd=5 * 10**18, gas=7 * 10**12, usdc=2_500_000)
    async with service.database.write() as conn:
        await usdc_books.post_receivable(conn, "ons_now", 1_000_000, wallet=HOT_WALLET, now=datetime.now(UTC))
    vera, otto = await operator_client(service, "viewer", "vera"), await operator_client(service, "operator", "otto")
    for path in ("/balances", "/ledger"):
        status, page = await vera.get(path)
        found = {row["asset"]: row for row in page["earlier"]}
        assert (status, set(found)) == (200, {"MUSD", "BTC", "USDC"})
        assert {row["wallet"] for row in page["earlier"]} == {BEFORE}
        assert (found["MUSD"]["available"], found["BTC"]["available"]) == ("5.00", "0.000007")
        assert found["USDC"]["receivable"] == "2.50"
    assert {row["wallet"] for row in page["accounts"]} == {HOT_WALLET}
    assert {row["subject"]: row["wallet"] for row in page["data"] if row["asset"] == "USDC"} == {
        "ons_before": BEFORE,
        "ons_now": HOT_WALLET,
    }
    order, ada = {"txHash": "0x" + "ab" * 32, "amount": "3"}, await operator_client(service, "approver", "ada")
    assert (await otto.post("/settle-usdc", order))[1]["status"] == "awaiting_approval"
    status, cleared = await ada.post("/settle-usdc", order)
    assert (status, cleared["receivable"]) == (200, "0.50")
    assert [(row["subject"], row["wallet"], row["amount"]) for row in cleared["data"]] == [
        ("ons_before", BEFORE, "2.50"),
        ("ons_now", HOT_WALLET, "0.50"),
    ]
    _, page = await vera.get("/ledger")
    assert {row["asset"] for row in page["earlier"]} == {"MUSD", "BTC"}


async def test_the_terminal_says_what_to_type_about_an_earlier_wallet(service: Service) -> None:
    vera = await make_key(service.database, "viewer", "vera")
    calm = await run_treasury_async(service.api, vera, "balances")
    assert (calm.returncode, "earlier" in calm.stdout) == (0, False), calm.stderr
    await before(service, musd=5 * 10**18, gas=7 * 10**12, usdc=2_500_000)
    for command in ("balances", "ledger"):
        output = (await run_treasury_async(service.api, vera, command)).stdout
        assert "earlier wallets, by the ledger" in output
        assert f"{BEFORE} still holds 5.00 MUSD; with its key and HOT_WALLET_ADDRESS set to it: onramp treasury panic" in output  # fmt: skip
        assert (
            f"2.50 USDC of purchases that {BEFORE} paid has not been seen to arrive: onramp treasury settle-usdc"
            in output
        )


async def test_an_earlier_wallet_that_is_empty_is_not_spoken_of(service: Service) -> None:
    await before(service)
    vera = await operator_client(service, "viewer", "vera")
    assert (await vera.get("/balances"))[1]["earlier"] == []
    assert (await vera.get("/ledger"))[1]["earlier"] == []
