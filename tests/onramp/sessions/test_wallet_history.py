"""A wallet sees its own purchases and no others."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from kit.clock import SystemClock
from onramp.auth.wallets.tokens import Tokens
from onramp.sessions import wallet_history
from onramp.sessions.table import sessions

SECRET = bytes(range(32))
MINE, OTHER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
BASE = "/api/v1/onramp/sessions"
TX = "0x" + "ab" * 32


@pytest.fixture
async def shop(start: Any) -> Any:
    return await start(
        JWT_SECRETS=SecretStr(SECRET.hex()), RATE_LIMIT_CREATE="", RATE_LIMIT_READ="",
        MERCHANT_NAME="Café Zürich – Łódź & Co", MERCHANT_ADDRESS="Bahnhofstrasse 1\n8001 Zürich", SUPPORT_EMAIL="help@shop.example",
    )  # fmt: skip


def token(shop: Any, wallet: str) -> dict[str, str]:
    text, _ = Tokens(shop.database, [SECRET], 31611, SystemClock()).sign(wallet, 0)
    return {"Authorization": f"Bearer {text}"}


async def get(shop: Any, path: str, headers: dict[str, str]) -> tuple[int, Any]:
    async with shop.http.get(shop.api + path, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def bought(shop: Any, wallet: str = MINE, count: int = 1) -> list[str]:
    return [(await shop.create(walletAddress=wallet))[1]["id"] for _ in range(count)]


async def deliver(shop: Any, session_id: str) -> None:
    now = datetime.now(UTC)
    async with shop.database.write() as conn:
        await conn.execute(
            sa.update(sessions).where(sessions.c.id == session_id).values(
                payment_status="fulfillment_complete", delivered_units=99_500_000, expected_units=99 * 10**18, received_units=99 * 10**18,
                delivery_status="confirmed", tx_hash=TX, block_number=15_937_001, agreed_by=["alpha", "beta"], paid_at=now, confirmed_at=now,
            )
        )  # fmt: skip


async def test_pages_hold_the_wallets_own_purchases_newest_first_and_once(shop: Any) -> None:
    mine, others = await bought(shop, count=5), await bought(shop, OTHER, 2)
    same = datetime.now(UTC) - timedelta(hours=1)
    async with shop.database.write() as conn:  # made at one moment: the id decides
        await conn.execute(sa.update(sessions).where(sessions.c.id.in_(mine[:3])).values(created_at=same))
    headers, seen, cursor = token(shop, MINE), [], ""
    while True:
        status, page = await get(shop, f"{BASE}?limit=2{cursor}", headers)
        assert status == 200 and len(page["data"]) <= 2
        seen += [session["id"] for session in page["data"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == [mine[4], mine[3], *sorted(mine[:3], reverse=True)]
    theirs = (await get(shop, BASE, token(shop, OTHER)))[1]
    assert {session["id"] for session in theirs["data"]} == set(others)
    assert all(session["redirectUrl"] is None for session in theirs["data"])
    for foreign in (others[0], "ons_nothing"):
        assert (await get(shop, f"{BASE}?cursor={foreign}", headers))[0] == 422
    assert (await get(shop, BASE, {}))[0] == 401


async def test_the_history_is_a_table_too(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wallet_history, "CSV_PAGE", 1)
    first, second = await bought(shop, count=2)
    await bought(shop, OTHER)
    await deliver(shop, first)
    headers = token(shop, MINE) | {"Accept": "text/csv"}
    async with shop.http.get(shop.api + BASE, headers=headers) as answer:
        assert answer.content_type == "text/csv" and "attachment" in answer.headers["Content-Disposition"]
        rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [row["id"] for row in rows] == [second, first]
    assert (rows[1]["musdAmount"], rows[1]["txHash"], rows[1]["sourceAmount"]) == ("99.00", TX, "100.00")
    assert rows[0]["musdAmount"] == ""


async def test_a_wallet_verifies_its_own_and_cannot_learn_of_anothers(shop: Any) -> None:
    [mine], [foreign] = await bought(shop), await bought(shop, OTHER)
    headers = token(shop, MINE)
    async with shop.http.post(f"{shop.api}{BASE}/{foreign}/verify", headers=headers) as answer:
        other = (answer.status, (await answer.json(content_type=None))["detail"])
    async with shop.http.post(f"{shop.api}{BASE}/ons_unknown/verify", headers=headers) as answer:
        assert (answer.status, (await answer.json(content_type=None))["detail"]) == other
    assert other[0] == 404
    async with shop.http.post(f"{shop.api}{BASE}/{mine}/verify", headers=headers) as answer:
        assert answer.status == 200 and (await answer.json(content_type=None))["status"] == "awaiting"
    await deliver(shop, mine)  # the nodes of this service do not answer
    async with shop.http.post(f"{shop.api}{BASE}/{mine}/verify", headers=headers) as answer:
        assert answer.status in {200, 503}


async def test_the_receipt_is_a_document(shop: Any) -> None:
    [mine] = await bought(shop)
    for delivered in (False, True):
        if delivered:
            await deliver(shop, mine)
        async with shop.http.get(f"{shop.api}{BASE}/{mine}/receipt", headers={"Accept": "application/pdf"}) as answer:
            content = await answer.read()
            assert (answer.status, answer.content_type) == (200, "application/pdf")
        assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
        assert content.count(b"/Type /Page\n") == 1
    for accept in (
        "",
        "*/*",
        "application/json",
        "application/json, application/pdf;q=0.1",
        "application/pdf;q=0.1, */*",
    ):
        async with shop.http.get(f"{shop.api}{BASE}/{mine}/receipt", headers={"Accept": accept}) as answer:
            assert answer.content_type == "application/json"
    for accept in ("application/json;q=0.5, application/pdf", "image/png, application/*;q=0.1, application/json;q=0"):
        async with shop.http.get(f"{shop.api}{BASE}/{mine}/receipt", headers={"Accept": accept}) as answer:
            assert answer.content_type == "application/pdf"
    for accept in ("image/png", "application/pdf;q=0", "application/pdf;q=much"):
        async with shop.http.get(f"{shop.api}{BASE}/{mine}/receipt", headers={"Accept": accept}) as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (406, "not_acceptable")
