"""What viewers read of the treasury over real HTTP, in the schemas of the interface."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kit.audit.actor import Actor
from kit.ids import RandomIds
from tests.support.operators import OperatorClient, operator_client
from tests.support.service import HOT_WALLET, Service, Start
from treasury.core.hot_wallets import HotWallet
from treasury.payouts import service as payouts_service
from treasury.signers.intent import TransferIntent
from treasury.signers.protocol import Signed
from treasury.sweeps import service as sweeps_service
from treasury.transactions import service as transactions_service

TOKEN = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"
BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
SAFE = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
MUSD = 10**18
IDS = RandomIds()


async def owe(service: Service, number: int) -> str:
    async with service.database.write() as conn:
        return await payouts_service.create_payout(
            conn,
            session_id=f"ons_{number}",
            stripe_session_id=f"cos_{number}",
            to=BUYER,
            amount=99 * MUSD + MUSD // 2,
            token=TOKEN,
            wallet=HOT_WALLET,
            # Two at each moment, so that a page may end between them.
            now=NOW + timedelta(seconds=number // 2),
            ids=IDS,
        )


async def test_balances_are_what_was_read_less_what_is_held(service: Service) -> None:
    await owe(service, 1)
    vera = await operator_client(service, "viewer", "vera")
    status, page = await vera.get("/balances")
    assert (status, page["nextCursor"]) == (200, None)
    musd, gas = page["data"]
    assert set(musd) == {"asset", "onChain", "held", "available", "floor", "target", "ceiling", "blockNumber"}
    assert (musd["asset"], musd["onChain"], musd["held"]) == ("MUSD", "1000000.00", "99.50")
    assert (musd["available"], musd["blockNumber"]) == ("999900.50", 1)
    assert (gas["asset"], gas["onChain"], gas["blockNumber"]) == ("BTC", "0.00", None)


async def test_a_payout_is_shown_with_its_history(service: Service) -> None:
    payout_id = await owe(service, 1)
    vera = await operator_client(service, "viewer", "vera")
    status, shown = await vera.get(f"/payouts/{payout_id}")
    assert status == 200
    expected: dict[str, Any] = {"id": payout_id, "sessionId": "ons_1", "asset": "MUSD", "amount": "99.50", "to": BUYER}
    expected |= {"status": "planned", "reason": None, "approvedBy": None, "transactionId": None, "txHash": None}
    assert {name: shown[name] for name in expected} == expected
    line = {"at": "2026-11-21T03:00:00.000Z", "from": None, "to": "planned", "by": "treasury", "note": ""}
    assert shown["history"] == [line]
    assert (await vera.get("/payouts"))[1]["data"] == [shown]
    assert (await vera.get("/payouts?status=final"))[1]["data"] == []


async def test_pages_show_each_payout_once_the_newest_first(service: Service) -> None:
    made = [await owe(service, number) for number in range(7)]
    vera = await operator_client(service, "viewer", "vera")
    seen: list[Any] = []
    cursor = ""
    for _ in range(4):
        status, page = await vera.get(f"/payouts?limit=2{cursor}")
        assert status == 200
        seen += page["data"]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert page["nextCursor"] is None
    assert sorted(row["id"] for row in seen) == sorted(made)
    assert [row["createdAt"] for row in seen] == sorted((row["createdAt"] for row in seen), reverse=True)


async def test_a_sweep_and_a_transaction_are_shown(service: Service) -> None:
    proposal = sweeps_service.Proposal("MUSD", TOKEN, 1500 * MUSD, SAFE, "3", "0x" + "1d" * 32)
    payout_id = await owe(service, 1)
    intent = TransferIntent(31611, HOT_WALLET, 7, TOKEN, BUYER, MUSD, b"\x01" * 32, 80_000, 10**18 + 1, 1)
    async with service.database.write() as conn:
        made = await sweeps_service.propose(
            conn, proposal, HotWallet(31611, HOT_WALLET), Actor("key_1", "otto"), purpose="excess over ceiling",
            approval_needed=True, expires_after=timedelta(hours=24), now=NOW, ids=IDS,
        )  # fmt: skip
        (taken,) = await transactions_service.allocate_nonces(conn, [(intent, payout_id)], now=NOW, ids=IDS)
        signed = Signed(raw=b"\x02", hash="0x" + "ab" * 32, request_id="request-1")
        await transactions_service.add_attempt(conn, taken, signed, intent=intent, now=NOW, ids=IDS)
    vera = await operator_client(service, "viewer", "vera")
    status, sweep = await vera.get(f"/sweeps/{made.id}")
    expected: dict[str, Any] = {"asset": "MUSD", "amount": "1500.00", "to": SAFE, "status": "awaiting_approval"}
    expected |= {"reason": "excess over ceiling", "proposedBy": "key_1", "approvedBy": None, "txHash": None}
    assert (status, {name: sweep[name] for name in expected}) == (200, expected)
    assert [(line["from"], line["to"]) for line in sweep["history"]] == [(None, "planned"), ("planned", "awaiting_approval")]  # fmt: skip
    assert (await vera.get("/sweeps"))[1] == {"data": [sweep], "nextCursor": None}

    status, transaction = await vera.get(f"/transactions/{taken}")
    assert (status, transaction["nonce"], transaction["wallet"]) == (200, 7, HOT_WALLET)
    assert transaction["attempts"] == [
        {
            "hash": "0x" + "ab" * 32,
            "maxFeePerGas": "1000000000000000001",
            "signedAt": "2026-11-21T03:00:00.000Z",
            "signerRequestId": "request-1",
            "broadcasts": 0,
        }
    ]
    assert transaction["history"][0]["note"] == "nonce 7 taken"


VIEWS = ["/balances", "/payouts", "/payouts/pay_1", "/sweeps", "/sweeps/swp_1", "/transactions/txn_1", "/ledger"]


@pytest.mark.parametrize("path", VIEWS)
async def test_the_overview_requires_a_key(service: Service, path: str) -> None:
    status, problem = await OperatorClient(service, None).get(path)
    assert (status, problem["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("path", [*VIEWS[2:3], *VIEWS[4:6], "/payouts/" + "x" * 100])
async def test_what_is_not_there_is_404(service: Service, path: str) -> None:
    status, problem = await (await operator_client(service, "viewer", "vera")).get(path)
    assert (status, problem["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=x", "/limit"),
        ("cursor=x", "/cursor"),
        ("cursor=99999999999999999999.pay_1", "/cursor"),
        ("status=paid", "/status"),
        ("page=2", "/page"),
    ],
)
@pytest.mark.parametrize("kind", ["payouts", "sweeps"])
async def test_an_impossible_page_is_refused_by_name(service: Service, kind: str, query: str, pointer: str) -> None:
    status, problem = await (await operator_client(service, "viewer", "vera")).get(f"/{kind}?{query}")
    assert (status, [error["pointer"] for error in problem["errors"]]) == (422, [pointer])


async def test_the_history_of_an_asset_has_its_limits_and_ends_now(start: Start, database_url: str) -> None:
    service = await start(url=database_url)
    await owe(service, 1)
    vera = await operator_client(service, "viewer", "vera")
    status, history = await vera.get("/balances/history?asset=MUSD&from=2026-11-20T00:00:00Z")
    assert (status, history["asset"], history["runwayHours"]) == (200, "MUSD", None)
    assert {"floor", "target", "ceiling"} < set(history)
    assert history["points"][-1]["held"] == "99.50"
    assert len(history["points"]) <= 201
    status, problem = await vera.get("/balances/history?asset=NONE")
    assert (status, problem["code"]) == (404, "not_found")
