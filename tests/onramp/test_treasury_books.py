"""The ledger over HTTP and at the terminal: where every coin is, and what a person says of a difference."""

import json

import pytest

from tests.onramp.conftest import HOT_WALLET, Service
from tests.onramp.desk import desk, key
from tests.onramp.test_payout_orders import NOW, owed
from tests.onramp.test_treasury_cli import onramp
from treasury.ledger import service as ledger
from treasury.reconciliation import reconcile

MUSD = 10**18
USDC = 10**6


async def book(service: Service, *, musd: int = 5 * MUSD, block: int = 1) -> None:
    """What the leader would post of a balance."""
    async with service.database.write() as conn:
        await reconcile(conn, HOT_WALLET, "MUSD", musd, block, now=NOW)


async def postings(service: Service) -> list[str]:
    async with service.database.read() as conn:
        return [row.kind for row in await ledger.page(conn, HOT_WALLET)]


async def test_accounts_stand_on_top_and_movements_below_them_page_by_page(service: Service) -> None:
    await book(service)
    payout_id = await owed(service)
    async with service.database.write() as conn:
        await ledger.owe_usdc(conn, "ons_9", 2_500_000, wallet=HOT_WALLET, now=NOW)
    vera = await desk(service, "viewer", "vera")
    status, page = await vera.get("/ledger?limit=2")
    assert status == 200
    found = {one["asset"]: one for one in page["accounts"]}
    assert list(found) == ["MUSD", "BTC", "USDC"]
    musd, usdc = found["MUSD"], found["USDC"]
    assert (musd["available"], musd["held"], musd["externalIn"], musd["inFlight"]) == ("4.00", "1.00", "-5.00", "0.00")
    assert (usdc["receivable"], usdc["sold"], usdc["settled"]) == ("2.50", "-2.50", "0.00")
    newest, held = page["data"]
    assert (newest["subject"], newest["amount"], newest["from"], newest["to"]) == ("ons_9", "2.50", "sold", "receivable")  # fmt: skip
    assert (held["subject"], held["kind"], held["to"]) == (payout_id, "hold", "held")
    status, rest = await vera.get(f"/ledger?limit=2&cursor={page['nextCursor']}")
    assert [(row["kind"], row["blockNumber"]) for row in rest["data"]] == [("opening", 1)]
    assert rest["nextCursor"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "cursor=0", "cursor=x", "cursor=99999999999999999999"])
async def test_an_impossible_page_is_422(service: Service, query: str) -> None:
    assert (await (await desk(service, "viewer", "vera")).get(f"/ledger?{query}"))[0] == 422


async def test_the_terminal_says_what_is_gone_and_what_to_type(service: Service) -> None:
    await book(service)
    vera = await key(service.database, "viewer", "vera")
    calm = await onramp(service, vera, "ledger")
    assert (calm.returncode, "reconcile" in calm.stdout) == (0, False), calm.stderr
    await book(service, musd=2 * MUSD, block=2)
    said = await onramp(service, vera, "ledger", "--limit", "1")
    assert "3.00 MUSD is gone and no row says why: onramp treasury reconcile" in said.stdout
    assert "More: --cursor" in said.stdout
    shown = json.loads((await onramp(service, vera, "ledger", "--json")).stdout)
    assert shown["accounts"][0]["suspense"] == "3.00"


async def test_without_the_chain_nothing_is_compared(service: Service) -> None:
    otto, vera = await desk(service, "operator", "otto"), await desk(service, "viewer", "vera")
    assert (await vera.post("/reconcile"))[0] == 403
    status, problem = await otto.post("/reconcile")
    assert (status, problem["code"]) == (503, "chain_unavailable")
    assert await postings(service) == []
