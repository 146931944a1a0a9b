"""The search finds a thing by whatever an operator has in hand, and tells nobody an e-mail address."""

from datetime import UTC, datetime, timedelta

import pytest

from kit.db.database import Database
from kit.ids import RandomIds
from onramp.operator_views.search_service import search
from onramp.sessions import contacts
from tests.support.api_keys import RING, create_key
from tests.support.operators import API, OperatorClient, operator_client
from tests.support.paid_sessions import insert_paid_sessions
from tests.support.service import HOT_WALLET, Service
from tests.support.service_payouts import BUYER, TOKEN
from treasury.payouts import service as payouts_service
from treasury.signers.intent import TransferIntent
from treasury.signers.protocol import Signed
from treasury.transactions import service as transactions_service

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
HASH = "0x" + "ab" * 32
IDS = RandomIds()


async def a_paid_purchase(database: Database) -> str:
    """Store the purchase `ons_1` with an e-mail address, and its payout with a signed transaction; return the payout's id."""
    await insert_paid_sessions(database, ("ons_1", BUYER, 5))
    async with database.write() as conn:
        await contacts.store(conn, RING, [("ons_1", "Ada@Example.com")], NOW)
        payout_id = await payouts_service.create_payout(
            conn, session_id="ons_1", stripe_session_id="cos_1", to=BUYER, amount=10**18, token=TOKEN, wallet=HOT_WALLET,
            now=NOW, ids=IDS,
        )  # fmt: skip
        intent = TransferIntent(31611, HOT_WALLET, 7, TOKEN, BUYER, 10**18, b"\x01" * 32, 80_000, 10**9, 1)
        (taken,) = await transactions_service.allocate_nonces(conn, [(intent, payout_id)], now=NOW, ids=IDS)
        signed = Signed(raw=b"\x02", hash=HASH, request_id="request-1")
        await transactions_service.add_attempt(conn, taken, signed, intent=intent, now=NOW, ids=IDS)
    return payout_id


async def test_a_purchase_is_found_by_wallet_hash_reference_and_address(database: Database) -> None:
    payout_id = await a_paid_purchase(database)
    key_id, _ = await create_key(database, "viewer", "vera")
    async with database.read() as conn:
        payout = await payouts_service.get(conn, payout_id)
        assert payout is not None

        async def found(query: str) -> list[tuple[str, str]]:
            return [(hit.kind, hit.id) for hit in await search(conn, RING, query)]

        assert await found("ons_1") == [("purchase", "ons_1")]
        assert await found(BUYER) == await found(BUYER.upper().replace("0X", "0x")) == [("purchase", "ons_1")]
        assert await found(" ada@example.COM ".strip()) == [("purchase", "ons_1")]
        assert await found("eve@example.com") == []
        assert await found(payout_id) == [("payout", payout_id)]
        by_hash = await found(HASH.upper().replace("0X", "0x"))
        assert [kind for kind, _ in by_hash] == ["purchase", "payout", "transaction"]
        assert await found(payout.reference) == [("purchase", "ons_1"), ("payout", payout_id)]
        assert await found(by_hash[2][1]) == [by_hash[2]]
        assert await found(key_id) == [("key", key_id)]
        assert await found("key_unknown") == await found("pol_unknown") == await found("stl_1") == []


@pytest.mark.parametrize(
    "query", ["%", "' OR 1=1 --", "ons_%", "0x" + "zz" * 32, "@", "a@b", "<script>alert(1)</script>", "𝕏" * 255]
)
async def test_a_hostile_query_finds_nothing_and_breaks_nothing(database: Database, query: str) -> None:
    await a_paid_purchase(database)
    async with database.read() as conn:
        assert await search(conn, RING, query) == []


async def test_the_search_is_a_post_for_viewers_whose_query_is_in_no_log(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    await insert_paid_sessions(service.database, ("ons_1", BUYER, 5))
    async with service.database.write() as conn:
        await contacts.store(conn, RING, [("ons_1", "ada@example.com")], NOW + timedelta(days=1))
    vera = await operator_client(service, "viewer", "vera", API)
    status, answer = await vera.post("/search", {"query": " ada@example.com "})
    assert (status, [hit["id"] for hit in answer["data"]]) == (200, ["ons_1"])
    assert "ada@example.com" not in str(answer)
    for body, pointer in (
        ({"query": ""}, "/query"),
        ({"query": "x" * 256}, "/query"),
        ({}, "/query"),
        ({"q": "x"}, "/query"),
    ):
        status, problem = await vera.post("/search", body)
        assert (status, problem["errors"][0]["pointer"]) == (422, pointer)
    assert (await OperatorClient(service, None, API).post("/search", {"query": "x"}))[0] == 401
    assert (await (await operator_client(service, "dapp", "shop", API)).post("/search", {"query": "x"}))[0] == 403
    output = capsys.readouterr()
    assert "ada@example.com" not in output.out + output.err
