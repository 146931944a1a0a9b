"""A sender in a separate process, so that its CPU time can be measured: ours with its real parts, or a plain web3.py loop."""

import asyncio
import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from eth_utils.address import to_checksum_address
from prometheus_client import CollectorRegistry

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
from treasury.metrics import PrometheusTreasuryMetrics
from treasury.pause.service import StoredGate
from treasury.payouts import service as payouts_service
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


def buyer() -> str:
    """Return a new buyer for each payout."""
    return to_checksum("0x" + keccak(secrets.token_bytes(32))[12:].hex())


class Counting(AwsKms):
    """The real client. The CPU time of its threads is that of signing, and is counted separately."""

    cpu = 0.0

    def _blocking(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        started = time.thread_time()
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


async def ours(arguments: dict[str, Any]) -> dict[str, float]:
    """Run our sender: three providers must agree on every read, policy and pause are rows, and Postgres or SQLite holds everything."""
    wallet, count, final = to_checksum(arguments["wallet"]), arguments["count"], [0]
    pool = Pool([NodeConfig(name, name, arguments["rpc"]) for name in ("alpha", "beta", "gamma")], chain_id=CHAIN_ID)
    database, ids, clock = connect(arguments["database"]), RandomIds(), SystemClock()
    keys, stripe = Counting(KEY_ID), Stripe()

    def checkpoint(name: str) -> None:
        final[0] += name == "final"

    terms = Terms(parser.parse(parser.DEVELOPMENT, musd=TOKEN), TOKEN, None)
    async with database.write() as conn:
        await policy_service.propose(conn, terms, scope=HotWallet(CHAIN_ID, wallet).key, now=clock.now(), ids=ids)
    sender = Sender(
        SenderContext(
            config=SenderConfig(CHAIN_ID, wallet, TOKEN, max_in_flight=arguments["depth"]),
            database=database,
            chain=QuorumWalletChain(pool, wallet=wallet, token=TOKEN),
            signer=RemoteSigner(keys, SigningLimits(CHAIN_ID, wallet, TOKEN, 50 * 10**9)),
            payment_proof=stripe,
            clock=clock,
            ids=ids,
            metrics=PrometheusTreasuryMetrics(CollectorRegistry()),
            checkpoint=checkpoint,
            gate=StoredGate(),
            policy=ActivePolicy(HotWallet(CHAIN_ID, wallet), cold=None, purchases=FakePurchases()),
        )
    )

    async def until(many: int) -> None:
        while final[0] < many:
            if not await sender.step():
                await asyncio.sleep(sender.interval)

    warm = arguments["depth"]
    await owe(database, wallet, stripe, warm)
    await until(warm)
    await owe(database, wallet, stripe, count)
    tune_garbage_collection()  # as the service does once it is up
    began, cpu, signing = time.perf_counter(), time.process_time(), keys.cpu
    await until(warm + count)
    seconds, cpu, signing = time.perf_counter() - began, time.process_time() - cpu, keys.cpu - signing
    await sender.stop()
    await keys.close()
    await pool.close()
    await database.close()
    return {"rate": count / seconds, "cpu": (cpu - signing) / count}


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
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                result = runner.run(ours(arguments))
    print(json.dumps(result))


main()
