"""A sender in a separate process, so that its CPU time can be measured: ours with its real parts, or a plain web3.py loop."""

import asyncio
import json
import os
import secrets
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import uvloop
from eth_utils.address import to_checksum_address
from prometheus_client import CollectorRegistry

from chain import payonce
from chain.abi.erc20 import encode_transfer
from chain.node.config import NodeConfig
from chain.pool.pool import Pool
from chain.types import keccak, to_checksum
from kit.clock import SystemClock
from kit.db.database import Database, connect
from kit.ids import RandomIds
from kit.logs import configure
from onramp.bootstrap.server import tune_garbage_collection
from onramp.dev.kms.aws import KEY_ID
from tests.support.fake_purchases import FakePurchases
from treasury.core.hot_wallets import HotWallet
from treasury.core.status import Status
from treasury.metrics import PrometheusTreasuryMetrics
from treasury.pause.service import StoredGate
from treasury.payonce.approval import Approver
from treasury.payouts import service as payouts_service
from treasury.payouts.table import payouts
from treasury.policy import parser
from treasury.policy import service as policy_service
from treasury.policy.active import ActivePolicy
from treasury.policy.states import Terms
from treasury.ports import Owed
from treasury.sender import Sender, SenderConfig, SenderContext
from treasury.sender.wallet_chain import QuorumWalletChain
from treasury.signers.aws import AwsKms
from treasury.signers.intent import SigningLimits
from treasury.signers.remote import RemoteSigner
from treasury.signers.signed_transaction import CURVE_ORDER

CHAIN_ID = 31611
TOKEN = to_checksum("0x118917a40faf1cd7a13db0ef56c86de7973ac503")
AMOUNT = 10**15
GAS = 80_000
MAX_FEE = 50 * 10**9
PAID = sa.select(sa.func.count()).where(payouts.c.wallet == sa.bindparam("wallet"), payouts.c.status == Status.FINAL)


def buyer() -> str:
    """Return a new buyer for each payout."""
    return to_checksum("0x" + keccak(secrets.token_bytes(32))[12:].hex())


class Counting(AwsKms):
    """The real client. The CPU time of its threads is that of signing, and is counted separately."""

    cpu = 0.0
    signatures = 0

    def _blocking(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        started = time.thread_time()
        self.signatures += name == "sign"
        try:
            return super()._blocking(name, parameters)
        finally:
            self.cpu += time.thread_time() - started


class Stripe:
    """Answers at once what the rows contain: Stripe's own time is not measured here."""

    def __init__(self) -> None:
        self.says: dict[str, Owed] = {}

    async def owed(self, session_id: str, stripe_session_id: str) -> Owed | None:
        del stripe_session_id
        return self.says.get(session_id)


async def owe(database: Database, wallet: str, stripe: Stripe, count: int) -> None:
    clock, ids = SystemClock(), RandomIds()
    async with database.write() as conn:
        for _ in range(count):
            session = "ons_" + secrets.token_hex(12)
            stripe.says[session] = owed = Owed(AMOUNT, buyer())
            await payouts_service.create_payout(
                conn, session_id=session, stripe_session_id="cos_" + session, to=owed.to, amount=AMOUNT, token=TOKEN,
                wallet=wallet, now=clock.now(), ids=ids,
            )  # fmt: skip


@dataclass
class Ours:
    """Our sender with its real parts: three providers must agree on every read, policy and pause are rows, and Postgres or SQLite holds everything."""

    arguments: dict[str, Any]
    clock: SystemClock = field(default_factory=SystemClock)
    ids: RandomIds = field(default_factory=RandomIds)
    done: Counter[str] = field(default_factory=Counter)
    """How often each checkpoint of the sender was passed."""

    def __post_init__(self) -> None:
        """Connect to nodes, database and key service, and build the sender; nothing is asked yet."""
        self.hot_wallet = HotWallet(CHAIN_ID, to_checksum(self.arguments["wallet"]))
        nodes = [NodeConfig(name, name, self.arguments["rpc"]) for name in ("alpha", "beta", "gamma")]
        self.pool = Pool(nodes, chain_id=CHAIN_ID)
        self.database = connect(self.arguments["database"])
        self.keys, self.stripe = Counting(KEY_ID), Stripe()
        self.context = self._build_context()
        self.sender = Sender(self.context)

    def _build_context(self) -> SenderContext:
        wallet, contract = self.hot_wallet.address, payonce.ADDRESS if self.batch else None
        limits = SigningLimits(CHAIN_ID, wallet, TOKEN, MAX_FEE, contract=contract)
        depth = self.arguments["depth"]
        return SenderContext(
            config=SenderConfig(CHAIN_ID, wallet, TOKEN, contract=contract, max_in_flight=depth),
            database=self.database,
            chain=QuorumWalletChain(self.pool, wallet=wallet, token=TOKEN),
            signer=RemoteSigner(self.keys, limits),
            payment_proof=self.stripe,
            clock=self.clock,
            ids=self.ids,
            metrics=PrometheusTreasuryMetrics(CollectorRegistry()),
            checkpoint=lambda name: self.done.update((name,)),
            gate=StoredGate(),
            policy=ActivePolicy(self.hot_wallet, cold=None, purchases=FakePurchases()),
        )

    @property
    def batch(self) -> int:
        """How many payouts one transaction may pay; 0: each payout is a transfer of its own."""
        return int(self.arguments.get("batch", 0))

    async def prepare(self) -> None:
        """Make the development policy the active one, and approve the contract if it is used."""
        text = parser.DEVELOPMENT.replace("[payouts]", f"[payouts]\nmax_batch = {self.batch or 1}")
        terms = Terms(parser.parse(text, musd=TOKEN), TOKEN, None)
        async with self.database.write() as conn:
            now = self.clock.now()
            await policy_service.propose(conn, terms, scope=self.hot_wallet.key, now=now, ids=self.ids)
        if not self.batch:
            return
        context, limit = self.context, terms.policy.max_allowance
        approver = Approver(
            self.hot_wallet, self.database, self.pool, context.chain, context.signer, context.gate, self.clock, self.ids, MAX_FEE,
            token=TOKEN, max_allowance=limit,
        )  # fmt: skip
        await approver.approve(limit)
        if not await approver.await_allowance(limit, 30):
            raise RuntimeError("the approval of the contract was not mined")

    async def owe(self, count: int) -> None:
        """Owe so many buyers."""
        await owe(self.database, self.hot_wallet.address, self.stripe, count)

    async def until_paid(self, count: int) -> None:
        """Run the sender until so many payouts are final."""
        proved = -1
        while True:
            if proved != self.done["final"]:
                proved = self.done["final"]
                async with self.database.read() as conn:
                    if (await conn.execute(PAID, {"wallet": self.hot_wallet.address})).scalar_one() >= count:
                        return
            if not await self.sender.step():
                await asyncio.sleep(self.sender.interval)

    async def close(self) -> None:
        await self.sender.stop()
        await self.keys.close()
        await self.pool.close()
        await self.database.close()


async def ours(arguments: dict[str, Any]) -> dict[str, float]:
    """Pay `count` payouts that are all due at once, after a few others. The clock runs from there until the last one is final."""
    run, count = Ours(arguments), arguments["count"]
    await run.prepare()
    warm = arguments["depth"]
    await run.owe(warm)
    await run.until_paid(warm)
    await run.owe(count)
    tune_garbage_collection()  # as the service does once it is up
    await half_of_a_block(run.pool, arguments.get("between"))
    began, cpu = time.perf_counter(), time.process_time() - run.keys.cpu
    signatures = run.keys.signatures
    await run.until_paid(warm + count)
    seconds, cpu = time.perf_counter() - began, time.process_time() - run.keys.cpu - cpu
    await run.close()
    return {"rate": count / seconds, "cpu": cpu / count, "signatures": run.keys.signatures - signatures}


async def half_of_a_block(pool: Pool, between: float | None) -> None:
    """Wait until half of the `between` seconds from one block to the next have passed: payouts become due at any time, on average then."""
    if between is None:
        return
    await pool.refresh(force=True)
    block = pool.agreed_head()
    while pool.agreed_head() == block:
        await asyncio.sleep(0.02)
        await pool.refresh(force=True)
    await asyncio.sleep(between / 2)


async def lone(arguments: dict[str, Any]) -> dict[str, float]:
    """Pay `count` payouts, each once the one before is final; return the median of the seconds from owed to broadcast."""
    run, seconds = Ours(arguments), list[float]()
    await run.prepare()
    tune_garbage_collection()
    for number in range(1, arguments["count"] + 2):
        await run.owe(1)
        began, before = time.perf_counter(), run.done["broadcast"]
        while run.done["broadcast"] == before:
            # Without a pause: the service is woken when a payout becomes due.
            await run.sender.step()
        seconds.append(time.perf_counter() - began)
        await run.until_paid(number)
    await run.close()
    return {"seconds": statistics.median(seconds[1:])}


def plain(arguments: dict[str, Any]) -> dict[str, float]:
    """Run the plain loop: build, sign with the same key service, send, wait for the receipt, repeat."""
    import boto3
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from eth_account import Account
    from eth_account.typed_transactions.typed_transaction import TypedTransaction
    from web3 import HTTPProvider, Web3

    web3, kms, wallet = Web3(HTTPProvider(arguments["rpc"])), boto3.client("kms"), to_checksum(arguments["wallet"])

    def pay() -> float:
        tx: dict[str, Any] = {
            "type": 2, "chainId": CHAIN_ID, "nonce": web3.eth.get_transaction_count(to_checksum_address(wallet)), "to": TOKEN, "value": 0,
            "gas": GAS, "data": "0x" + encode_transfer(buyer(), AMOUNT).hex(), "maxFeePerGas": web3.eth.gas_price * 2,
            "maxPriorityFeePerGas": 1,
        }  # fmt: skip
        digest = bytes(TypedTransaction.from_dict(tx).hash())
        before = time.thread_time()
        answer = kms.sign(KeyId=KEY_ID, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256")
        signing = time.thread_time() - before
        r, s = decode_dss_signature(answer["Signature"])
        s = min(s, CURVE_ORDER - s)
        v = next(v for v in (0, 1) if Account._recover_hash(digest, vrs=(v, r, s)) == wallet)
        raw = TypedTransaction.from_dict({**tx, "v": v, "r": r, "s": s}).encode()
        web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(raw))
        return signing

    pay()
    began, cpu, signing, count = time.perf_counter(), time.process_time(), 0.0, arguments["count"]
    for _ in range(count):
        signing += pay()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"rate": count / seconds, "cpu": (cpu - signing) / count}


def main() -> None:
    """Pay, and print the measurements as JSON."""
    arguments = json.loads(sys.argv[1])
    with Path(os.devnull).open("w") as nowhere:
        # As in production, but for where the lines go.
        configure("info", "json", nowhere, own_loggers=("kit", "chain", "treasury", "onramp"))
        if arguments["kind"] == "plain":
            result = plain(arguments)
        else:
            work = lone if arguments["kind"] == "lone" else ours
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                result = runner.run(work(arguments))
    print(json.dumps(result))


main()
