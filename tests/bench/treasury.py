"""Measure payouts: their number per second beside a plain web3.py loop, with signatures that take a tenth of a second, and CPU time."""

import asyncio
import json
import os
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from chain.types import keccak, to_checksum
from kit.db.database import connect
from kit.ids import RandomIds
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import DevChain
from onramp.dev.kms.aws import FakeAwsKms
from onramp.dev.kms.server import DevKey, KmsFaults
from tests.support.fake_purchases import FakePurchases
from tests.support.hot_wallet import CHAIN_ID, MUSD, TOKEN, WALLET, address_of
from treasury import balances
from treasury.core.hot_wallets import HotWallet
from treasury.payouts import service as payouts_service
from treasury.policy import parser, planner
from treasury.policy import service as policy_service
from treasury.policy.active import ActivePolicy
from treasury.policy.planner import Snapshot
from treasury.policy.states import Terms
from treasury.signers.intent import TransferIntent
from treasury.signers.remote import decode_der
from treasury.signers.signed_transaction import assemble, signing_hash

Row = tuple[str, ...]
SIGNATURE_SECONDS = 0.1
DEPTH = 16
STOCK = 10**24
HOLDS = 1_000


async def rows(chain: DevChain, url: str) -> list[Row]:
    """Return all rows; `url` is a migrated Postgres."""
    return [*await rates(chain, url), key_service_answers(), *await plans(url)]


async def rates(chain: DevChain, url: str) -> list[Row]:
    """Measure on the local node, first with a block for each transaction, then with a block each second, as real chains do."""
    found: list[Row] = []
    for blocks, count, few in (("mined at once", 10 * DEPTH, 20), ("a block a second", 6 * DEPTH, 8)):
        if blocks != "mined at once":
            await chain.rpc("evm_setIntervalMining", 1)
        plain = await run(chain, "plain", count=few)
        for depth, many in ((DEPTH, count), (1, few)):
            ours = await run(chain, "ours", depth=depth, count=many, database=url)
            found.append(
                (
                    f"payouts, {blocks}, depth {depth}, against a web3.py loop",
                    f"{ours['rate']:,.1f}/s",
                    f"{plain['rate']:,.1f}/s",
                    f"{ours['rate'] / plain['rate']:.1f}x",
                    ">= 5x" if depth == DEPTH else "",
                )
            )
            # The last one is of depth 1; what a payout costs is asked of the pipeline.
            if depth == DEPTH:
                found.append(
                    (
                        f"CPU of a payout besides the signature, {blocks}",
                        f"{ours['cpu'] * 1e3:.1f} ms",
                        f"{plain['cpu'] * 1e3:.1f} ms",
                        f"{ours['cpu'] / plain['cpu']:.2f}x",
                        "<= 5 ms",
                    )
                )
    return found


async def run(chain: DevChain, kind: str, **arguments: Any) -> dict[str, float]:
    """Run one sender in its own process and with its own wallet; return what it measured."""
    secret = keccak(secrets.token_bytes(32))
    wallet = address_of(secret)
    await chain.mint(wallet, STOCK)
    await chain.fund_gas(wallet, 10**20)
    key = DevKey(secret, KmsFaults(delay=SIGNATURE_SECONDS))
    server, port = web.AppRunner(FakeAwsKms(key).app(), access_log=None), free_port()
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", port).start()
    environment = {
        "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL_KMS": f"http://127.0.0.1:{port}", "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench",
    }  # fmt: skip
    message = json.dumps({"kind": kind, "rpc": chain.anvil.url, "wallet": wallet, **arguments})
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.sender", message, env=environment, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        if process.returncode:
            message = f"the {kind} sender failed"
            raise RuntimeError(message)
        found: dict[str, float] = json.loads(output.splitlines()[-1])
        return found
    finally:
        await server.cleanup()


def microseconds(work: Callable[[], object], times: int) -> float:
    """Return the CPU time of one call in microseconds, the median of five rounds."""
    rounds = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            work()
        rounds.append((time.process_time() - began) / times * 1e6)
    return statistics.median(rounds)


def key_service_answers() -> Row:
    """Measure the way from DER to signed bytes that recover to the wallet, compared with eth_account's."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from eth_account import Account
    from eth_account.typed_transactions.typed_transaction import TypedTransaction
    from hexbytes import HexBytes

    secret = bytes.fromhex("11" * 32)
    to = to_checksum("0x" + "b0" * 20)
    intent = TransferIntent(CHAIN_ID, WALLET, 7, TOKEN, to, 5 * MUSD, bytes(32), 80_000, 10**9, 10**6)
    ders = [DevKey(secret).sign(signing_hash(intent)) for _ in range(64)]
    turn = iter(ders * 10_000)

    def ours() -> object:
        r, s = decode_der(next(turn))
        return assemble(intent, r, s, "")

    fields = dict(TypedTransaction.from_bytes(HexBytes(assemble(intent, *decode_der(ders[0]), "").raw)).as_dict())
    unsigned = {name: value for name, value in fields.items() if name not in {"v", "r", "s"}}

    def bare() -> object:
        r, s = decode_dss_signature(next(turn))
        s = min(s, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - s)
        digest = TypedTransaction.from_dict(unsigned).hash()
        v = next(v for v in (0, 1) if Account._recover_hash(digest, vrs=(v, r, s)) == WALLET)
        return TypedTransaction.from_dict({**unsigned, "v": v, "r": r, "s": s}).encode()

    mine, theirs = microseconds(ours, 300), microseconds(bare, 100)
    return (
        "a key service's answer, made into signed bytes",
        f"{mine:.0f} us",
        f"{theirs:.0f} us",
        f"{mine / theirs:.2f}x",
        "<= 150 us",
    )


async def plans(url: str) -> list[Row]:
    """Measure the planner alone, and with everything that it reads."""
    now, ids, database, holder = datetime.now(UTC), RandomIds(), connect(url), buyer()
    terms = Terms(parser.parse(parser.DEVELOPMENT, musd=TOKEN), TOKEN, None)
    rules = ActivePolicy(HotWallet(CHAIN_ID, holder), cold=None, purchases=FakePurchases())
    async with database.write() as conn:
        await policy_service.propose(conn, terms, scope=HotWallet(CHAIN_ID, holder).key, now=now, ids=ids)
        await balances.refresh(conn, HotWallet(CHAIN_ID, holder), "MUSD", amount=STOCK, block_number=1, now=now)
        for _ in range(HOLDS):
            session = ids.new("ons_")
            await payouts_service.create_payout(
                conn, session_id=session, stripe_session_id="cos_", to=buyer(), amount=MUSD, token=TOKEN, wallet=holder,
                now=now, ids=ids,
            )  # fmt: skip
    asset = terms.policy.assets["MUSD"]
    snapshot = Snapshot(asset, STOCK, [MUSD] * HOLDS)
    alone = microseconds(lambda: planner.plan(snapshot, None), 200)
    times = []
    async with database.read() as conn:
        for _ in range(20):
            began = time.perf_counter()
            whole = planner.plan(await rules.snapshot(conn, asset, now=now), None)
            times.append(time.perf_counter() - began)
            assert whole == planner.plan(snapshot, None)
    await database.close()
    return [
        (f"planner over {HOLDS:,} holds", f"{alone / 1e3:.3f} ms", "", "", "<= 5 ms"),
        ("the same, read from Postgres", f"{statistics.median(times) * 1e3:.1f} ms", "", "", "<= 5 ms"),
    ]


def buyer() -> str:
    """Return a new buyer."""
    return to_checksum("0x" + keccak(secrets.token_bytes(32))[12:].hex())
