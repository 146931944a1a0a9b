"""Sweeps that must be refused, over real HTTP and with a real Safe: each refusal has its code, is in the audit trail, and moves nothing."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from kit.audit.table import entries
from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.host import ROOT
from onramp.sessions.table import sessions
from tests.support.operators import OperatorClient, operator_client
from tests.support.safes import Safes
from tests.support.service import HOT_WALLET, Service, Start
from tests.support.treasury_rows import money_rows
from treasury import balances
from treasury.core.hot_wallets import HotWallet
from treasury.policy.parser import DEVELOPMENT
from treasury.sweeps.table import sweeps

pytestmark = pytest.mark.skipif(
    not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(), reason="node packages are not installed (make setup)"
)
ORDER = {"asset": "MUSD", "amount": "5000.01"}
"""Above sweeps.approval_above; the first one to a Safe is made small, and waits for a person all the same."""


@dataclass(frozen=True, slots=True)
class Office:
    """A service with its own Safe, an operator who proposes and an approver who does not."""

    service: Service
    settings: dict[str, Any]
    safe: str
    otto: OperatorClient
    ada: OperatorClient

    async def proposed(self) -> str:
        status, sweep = await self.otto.post("/sweeps", ORDER)
        assert (status, sweep["status"]) == (201, "awaiting_approval"), sweep
        return str(sweep["id"])

    async def refused(self, who: OperatorClient, path: str, body: Any, code: str, text: str) -> None:
        """Assert that the command is refused, no row about money changed, and the last audit row is the attempt."""
        before = await money_rows(self.service)
        status, problem = await who.post(path, body)
        assert (status, problem["code"]) == (409, code), problem
        assert text in problem["detail"]
        assert await money_rows(self.service) == before
        async with self.service.database.read() as conn:
            last = (await conn.execute(sa.select(entries).order_by(entries.c.id.desc()).limit(1))).one()
        assert last.action.endswith("_refused")
        assert last.new_values == {"code": code}
        assert last.actor.startswith("key_")


@pytest.fixture
async def office(chain: DevChain, start: Start) -> AsyncIterator[Office]:
    safes = Safes(chain)
    safe = await safes.make()
    settings = {
        "MEZO_RPC_URLS": SecretStr(",".join(chain.rpc_urls)),
        "COLD_SAFE_ADDRESS": safe,
        "COLD_SAFE_OWNERS": ",".join(safes.owners),
    }
    service = await start(stock=30_000 * 10**18, **settings)
    async with service.database.write() as conn:
        now = datetime.now(UTC)
        await balances.refresh(conn, HotWallet(31611, HOT_WALLET), "BTC", amount=10**16, block_number=1, now=now)
    yield Office(
        service,
        settings,
        safe,
        await operator_client(service, "operator", "otto"),
        await operator_client(service, "approver", "ada"),
    )


@pytest.mark.parametrize(
    ("order", "code", "text"),
    [
        ({"asset": "DOGE", "amount": "1"}, "policy_refused", "the policy lists BTC, MUSD"),
        ({"asset": "USDC.e", "amount": "1"}, "policy_refused", "the policy lists BTC, MUSD"),
        ({"asset": "MUSD", "amount": "99.99"}, "policy_refused", "sweeps.min"),
        ({"asset": "MUSD", "amount": "20000.01"}, "policy_refused", "sweeps.max_per_transaction"),
        ({"asset": "MUSD", "amount": "30000.01"}, "insufficient_available", "available"),
        ({"asset": "MUSD", "amount": "25000.01"}, "policy_refused", "floor"),
        ({"asset": "BTC", "amount": "0.0099"}, "policy_refused", "assets.BTC"),
    ],
    ids=[
        "unknown-asset",
        "unknown-asset-with-a-dot",
        "below-minimum",
        "above-limit",
        "above-available",
        "below-floor",
        "gas-below-floor",
    ],
)
async def test_an_order_against_the_policy(office: Office, order: dict[str, str], code: str, text: str) -> None:
    await office.refused(office.otto, "/sweeps", order, code, text)


async def test_coins_reserved_for_buyers_are_not_swept(office: Office) -> None:
    """The stock is 30,000 and the floor 5,000: 20,000 could be swept if a payment in progress did not need 10,000."""
    assert (await office.service.create(sourceAmount="10000"))[0] == 201
    async with office.service.database.write() as conn:
        await conn.execute(sa.update(sessions).values(payment_status="fulfillment_processing"))
    order = {"asset": "MUSD", "amount": "20000"}
    await office.refused(office.otto, "/sweeps", order, "policy_refused", "floor")
    async with office.service.database.write() as conn:
        await conn.execute(sa.update(sessions).values(payment_status="rejected"))
    assert (await office.otto.post("/sweeps", order))[0] == 201


async def test_a_sweep_request_with_a_destination_is_refused(office: Office) -> None:
    before = await money_rows(office.service)
    status, problem = await office.otto.post("/sweeps", ORDER | {"to": HOT_WALLET})
    assert (status, problem["errors"][0]["pointer"]) == (422, "/to")
    assert await money_rows(office.service) == before


async def test_an_own_proposal_is_not_approved_and_a_second_is_not_made(office: Office) -> None:
    status, sweep = await office.ada.post("/sweeps", ORDER)
    assert (status, sweep["to"]) == (201, office.safe)
    path = f"/sweeps/{sweep['id']}/approve"
    await office.refused(office.ada, path, {}, "self_approval", "another approver has to approve it")
    other_key = await operator_client(office.service, "approver", "ada")
    await office.refused(other_key, path, {}, "self_approval", "another approver has to approve it")
    await office.refused(office.otto, "/sweeps", ORDER, "already_active", sweep["id"])


async def test_an_approval_that_comes_too_late(office: Office) -> None:
    sweep_id = await office.proposed()
    async with office.service.database.write() as conn:
        await conn.execute(sa.update(sweeps).values(expires_at=datetime.now(UTC)))
    path = f"/sweeps/{sweep_id}/approve"
    await office.refused(office.ada, path, {}, "policy_refused", "longer than approval_expires_hours")


async def test_a_plan_of_a_policy_that_counts_no_more(office: Office, start: Start, tmp_path: Path) -> None:
    """The policy becomes stricter and the service restarts: an earlier plan needs a new proposal."""
    sweep_id = await office.proposed()
    stricter = tmp_path / "treasury.toml"
    stricter.write_text(DEVELOPMENT.replace('ceiling = "20000"', 'ceiling = "19000"'))
    url = office.service.database.engine.url.render_as_string(hide_password=False)
    again = await start(stock=30_000 * 10**18, url=url, TREASURY_POLICY=stricter, **office.settings)
    version = (await office.ada.get("/policy"))[1]["active"]["version"]
    assert version == 2
    ada = await operator_client(again, "approver", "ada")
    await office.refused(ada, f"/sweeps/{sweep_id}/approve", {}, "policy_refused", "The policy changed")
    assert (await ada.post(f"/sweeps/{sweep_id}/reject"))[1]["status"] == "rejected"
    await office.proposed()


async def test_a_safe_that_changed_since_it_was_proposed(office: Office, chain: DevChain) -> None:
    sweep_id = await office.proposed()
    await Safes(chain).store(office.safe, 4, "0x" + "1".rjust(40, "0"))  # its threshold
    path = f"/sweeps/{sweep_id}/approve"
    await office.refused(office.ada, path, {}, "cold_wallet_unverified", "could not be verified")
    await office.refused(office.otto, "/sweeps", ORDER, "cold_wallet_unverified", "could not be verified")
    await office.refused(office.otto, "/panic", {}, "cold_wallet_unverified", "could not be verified")


async def test_another_safe_in_the_environment_than_the_policy_pins(
    office: Office, start: Start, chain: DevChain
) -> None:
    """It passes verification and is still refused: two persons have to approve it first."""
    sweep_id = await office.proposed()
    other = await Safes(chain).make()
    url = office.service.database.engine.url.render_as_string(hide_password=False)
    again = await start(stock=30_000 * 10**18, url=url, **office.settings | {"COLD_SAFE_ADDRESS": other})
    otto, ada = await operator_client(again, "operator", "otto"), await operator_client(again, "approver", "ada")
    await office.refused(ada, f"/sweeps/{sweep_id}/approve", {}, "cold_wallet_unverified", "changed")
    assert (await ada.post(f"/sweeps/{sweep_id}/reject"))[0] == 200
    for order in (ORDER, {"asset": "MUSD", "amount": "excess"}):
        await office.refused(otto, "/sweeps", order, "policy_refused", "COLD_SAFE")
    await office.refused(otto, "/panic", {}, "policy_refused", "COLD_SAFE")
