"""`onramp contract approve` as an operator types it: within the policy, asked before it signs, and refused with nothing sent."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from chain import payonce
from chain.abi.erc20 import encode_allowance, encode_approve
from chain.types import to_hex
from kit.audit import service as audit_service
from kit.audit.actor import Actor
from kit.clock import SystemClock
from kit.db.database import Database, connect
from kit.ids import RandomIds
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.command_line import run_onramp
from tests.support.hot_wallet import MUSD
from tests.support.hot_wallet_environment import hot_wallet_environment
from treasury.core.hot_wallets import HotWallet
from treasury.core.leader import Leader
from treasury.pause import service as pause_service
from treasury.policy import service as policy_service
from treasury.policy.model import UNLIMITED
from treasury.policy.parser import DEVELOPMENT, parse
from treasury.policy.states import Terms

GWEI = 10**9


class Office:
    """The machine of an operator, with the wallet's node and the service's database."""

    def __init__(self, chain: DevChain, environment: dict[str, str]) -> None:
        self.chain = chain
        self.environment = environment
        self.wallet = environment["HOT_WALLET_ADDRESS"]
        self.policy_file = Path(environment["HOME"]) / "treasury.toml"

    def approve(self, *options: str, answers: str = "") -> Any:
        return run_onramp(self.environment, "contract", "approve", *options, answers=answers)

    def refused(self, *options: str, says: str, status: int = 1) -> None:
        """Assert that the command fails with this text, and that nothing was sent."""
        before = self.sent, self.allowance
        ended = self.approve("--yes", *options)
        assert (ended.returncode, ended.stdout) == (status, ""), ended
        assert says in " ".join(ended.stderr.split()), ended.stderr
        assert status != 1 or ended.stderr.count("\n") == 1
        assert (self.sent, self.allowance) == before

    def rpc(self, method: str, *values: Any) -> Any:
        return asyncio.run(self.chain.rpc(method, *values))

    @property
    def sent(self) -> int:
        """How many transactions of the wallet the node knows, those that wait included."""
        return int(self.rpc("eth_getTransactionCount", self.wallet, "pending"), 16)

    @property
    def allowance(self) -> int:
        data = to_hex(encode_allowance(self.wallet, payonce.ADDRESS))
        return int(self.rpc("eth_call", {"to": self.chain.deployment.musd, "data": data}, "latest"), 16)

    def approved_before(self, amount: int) -> None:
        """Approve by other means, and forget the nonce that it took."""
        self.rpc("anvil_impersonateAccount", self.wallet)
        data = to_hex(encode_approve(payonce.ADDRESS, amount))
        self.rpc("eth_sendTransaction", {"from": self.wallet, "to": self.chain.deployment.musd, "data": data})
        self.rpc("anvil_mine", "0x1")
        self.rpc("anvil_setNonce", self.wallet, "0x0")
        self.rpc("anvil_mine", "0x2")
        assert self.allowance == amount

    def stored(self, work: Callable[[AsyncConnection], Awaitable[object]]) -> None:
        """Change the database in one transaction."""

        async def change(database: Database) -> None:
            async with database.write() as conn:
                await work(conn)

        self.with_database(change)

    def with_database(self, work: Callable[[Database], Awaitable[None]]) -> None:
        async def inner() -> None:
            database = connect(self.environment["DATABASE_URL"])
            try:
                await work(database)
            finally:
                await database.close()

        asyncio.run(inner())

    def policy(self, lines: str) -> str:
        """Return the development policy with more lines about payouts, after writing it to the policy file."""
        text = DEVELOPMENT.replace("[payouts]\n", f"[payouts]\n{lines}\n")
        self.policy_file.write_text(text, encoding="utf-8")
        self.environment["TREASURY_POLICY"] = str(self.policy_file)
        return text


@pytest.fixture
def office(chain: DevChain, sqlite_url: str, tmp_path: Path) -> Office:
    asyncio.run(chain.rpc("anvil_setCode", payonce.ADDRESS, payonce.artefact()["deployedBytecode"]))
    asyncio.run(chain.rpc("anvil_mine", "0x2"))
    return Office(chain, hot_wallet_environment(chain, sqlite_url, tmp_path))


def test_by_default_it_approves_what_the_policy_allows_once_and_writes_it_into_the_audit_log(office: Office) -> None:
    done = office.approve("--yes", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["status"], document["allowance"]) == ("approved", "20000.00 MUSD")
    assert (document["spender"], document["token"], document["wallet"], document["chainId"]) == (
        payonce.ADDRESS, office.chain.deployment.musd, office.wallet, CHAIN_ID,
    )  # fmt: skip
    assert (office.sent, office.allowance) == (1, 20_000 * MUSD)
    again = office.approve("--yes", "--json")
    assert json.loads(again.stdout) == {**document, "status": "already_approved", "txHash": None}
    office.refused("--amount", "5", says="Start the worker `treasury`, which settles them")

    async def audited(conn: AsyncConnection) -> None:
        (entry,) = [entry for entry in await audit_service.page(conn, limit=10) if entry.action == "contract.approve"]
        assert (entry.actor, entry.before) == ("machine", {"allowance": "0.00"})
        assert entry.after == {
            "allowance": "20000.00", "spender": payonce.ADDRESS, "token": office.chain.deployment.musd, "txHash": document["txHash"], "nonce": 0,
        }  # fmt: skip

    office.stored(audited)


def test_it_says_what_happens_with_the_money_and_asks(office: Office) -> None:
    declined = office.approve("--amount", "250.5", answers="n\n")
    assert (declined.returncode, office.sent, office.allowance) == (1, 0, 0)
    said = " ".join(declined.stderr.split())
    assert f"The hot wallet {office.wallet} holds 0.00 MUSD." in said
    assert f"PayOnce at {payonce.ADDRESS} may move 0.00 MUSD of it now." in said
    assert "After this it may move 250.50 MUSD" in said and "Nothing moves now" in said
    unanswered = office.approve("--amount", "250.5")
    assert (unanswered.returncode, office.sent) == (1, 0)
    done = office.approve("--amount", "250.5", answers="y\n")
    assert (done.returncode, office.allowance) == (0, 250 * MUSD + MUSD // 2), done.stderr
    assert "Start the worker `treasury` again" in " ".join(done.stdout.split())


def test_an_approval_is_taken_back(office: Office) -> None:
    office.approved_before(300 * MUSD)
    declined = office.approve("--revoke", answers="n\n")
    said = " ".join(declined.stderr.split())
    assert "may move 300.00 MUSD of it now" in said and "no buyer is paid" in said and "Take the approval back?" in said
    assert office.allowance == 300 * MUSD
    done = office.approve("--revoke", "--yes", "--json")
    assert (json.loads(done.stdout)["status"], office.allowance) == ("revoked", 0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--amount", "-5"), "must be a plain decimal number"),
        (("--amount", "1e3"), "must be a plain decimal number"),
        (("--amount", "5,000"), "must be a plain decimal number"),
        (("--amount", "NaN"), "must be a plain decimal number"),
        (("--amount", ""), "must be a plain decimal number"),
        (("--amount", "0.0000000000000000001"), "has more than 18 decimal places"),
        (("--amount", "0"), "must be above zero; --revoke takes an approval back"),
        (("--amount", "5", "--revoke"), "exclude each other"),
        (("--amount", "", "--unlimited"), "exclude each other"),
        (("--unlimited", "--revoke"), "exclude each other"),
    ],
)
def test_a_malformed_amount_is_wrong_usage(office: Office, options: tuple[str, ...], says: str) -> None:
    ended = office.approve("--yes", *options)
    assert ended.returncode == 2
    assert says in " ".join(ended.stderr.replace("│", " ").split()), ended.stderr
    assert (office.sent, office.allowance) == (0, 0)


def test_more_than_the_policy_allows_is_refused(office: Office) -> None:
    office.policy('max_allowance = "500"')
    office.refused("--amount", "500.01", says="PayOnce can be approved to move 500.00 MUSD at most")
    office.refused("--unlimited", says='Only `max_allowance = "unlimited"` allows that.')
    office.policy('max_allowance = "many"')
    office.refused("--amount", "5", says="The treasury policy cannot be used: line 2: payouts.max_allowance must be")
    office.policy('max_allowance = "unlimited"')
    done = office.approve("--unlimited", "--yes", "--json")
    assert (json.loads(done.stdout)["allowance"], office.allowance) == ("any amount of MUSD", UNLIMITED), done.stderr


def test_a_file_that_two_persons_have_not_approved_allows_nothing_more(office: Office) -> None:
    token, scope = office.chain.deployment.musd, HotWallet(CHAIN_ID, office.wallet).key
    active = Terms(parse(office.policy('max_allowance = "500"'), musd=token), token, None)
    now, ids = SystemClock().now(), RandomIds()
    office.stored(lambda conn: policy_service.propose(conn, active, scope=scope, now=now, ids=ids))
    office.policy('max_allowance = "unlimited"')
    office.refused("--unlimited", says="500.00 MUSD at most")
    office.refused("--amount", "501", says="500.00 MUSD at most")
    done = office.approve("--yes", "--json")
    assert (json.loads(done.stdout)["allowance"], office.allowance) == ("500.00 MUSD", 500 * MUSD)


def test_it_is_refused_while_payouts_are_paused_even_to_take_an_approval_back(office: Office) -> None:
    office.approved_before(MUSD)
    now = SystemClock().now()
    office.stored(lambda conn: pause_service.pause(conn, ["payouts"], Actor("key_1", "anna"), note="", now=now))
    office.refused("--amount", "5", says="`onramp treasury resume`")
    office.refused("--revoke", says="`onramp treasury resume`")


def test_it_is_refused_while_the_worker_leads_the_wallet(office: Office) -> None:
    async def approve_meanwhile(database: Database) -> None:
        leader = Leader(database, HotWallet(CHAIN_ID, office.wallet), owner="worker", seconds=60)
        assert await leader.hold()
        await asyncio.to_thread(office.refused, "--amount", "5", says="The worker `treasury` is running")

    office.with_database(approve_meanwhile)


def test_it_is_refused_without_gas_or_above_the_fee_limit(office: Office) -> None:
    office.rpc("anvil_setBalance", office.wallet, "0x1")
    office.rpc("anvil_mine", "0x2")
    office.refused("--amount", "5", says="send BTC to it. Nothing was sent.")
    asyncio.run(office.chain.fund_gas(office.wallet, 10**18))
    try:
        office.rpc("anvil_setNextBlockBaseFeePerGas", hex(500 * GWEI))
        office.rpc("anvil_mine", "0x2")
        office.refused("--amount", "5", says="above the limit of 50000000000")
    finally:
        office.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
        office.rpc("anvil_mine", "0x2")


def test_without_a_wallet_nothing_is_approved(office: Office) -> None:
    for name in ("HOT_WALLET_ADDRESS", "HOT_WALLET_KEYSTORE", "HOT_WALLET_PASSWORD"):
        del office.environment[name]
    office.refused("--amount", "5", says="there is no hot wallet")


def test_without_the_contract_nothing_is_approved(office: Office) -> None:
    office.rpc("anvil_setCode", payonce.ADDRESS, "0x")
    office.rpc("anvil_mine", "0x2")
    office.refused("--amount", "5", says="deploy it with `onramp contract deploy`")
