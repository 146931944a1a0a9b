"""One sender in its own process, on a real chain and database, that kills or freezes itself at a checkpoint."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from kit.clock import SystemClock
from kit.db.database import connect
from kit.ids import RandomIds
from tests.support.fake_policy import FakeGate, NoLimits
from tests.support.fake_signer import KeySigner
from tests.support.fake_stripe import FakeStripe
from tests.support.hot_wallet import CHAIN_ID, TOKEN
from tests.support.recorded_metrics import RecordedMetrics
from treasury.cold.identity import ColdPin
from treasury.cold.service import PoolColdWallet
from treasury.ports import Owed
from treasury.sender import Sender, SenderConfig, SenderContext
from treasury.sender.wallet_chain import QuorumWalletChain
from treasury.signers.intent import SigningLimits


async def run(arguments: dict[str, Any]) -> None:
    pool = Pool(parse_nodes(arguments["rpc"], ""), chain_id=CHAIN_ID)
    # Its signatures differ each time, as those of a KMS do, so signing twice would show as two transactions.
    signer = KeySigner(bytes.fromhex(arguments["key"]))
    signer.limits = SigningLimits(
        CHAIN_ID, signer.address, TOKEN, 50 * 10**9, cold=arguments["safe"], contract=arguments["contract"]
    )
    stripe = FakeStripe()
    stripe.owed_by_session = {session: Owed(int(amount), to) for session, (amount, to) in arguments["owed"].items()}
    pin = ColdPin(CHAIN_ID, arguments["safe"], tuple(arguments["owners"]), 3)

    def checkpoint(name: str) -> None:
        if name != arguments["at"]:
            return
        if arguments["after"]:
            arguments["after"] -= 1
            return
        Path(arguments["mark"]).write_text(name)
        os.kill(os.getpid(), signal.SIGKILL if arguments["act"] == "kill" else signal.SIGSTOP)
        arguments["at"] = ""

    sender = Sender(
        SenderContext(
            config=SenderConfig(
                CHAIN_ID,
                signer.address,
                TOKEN,
                lease_seconds=arguments["lease"],
                rebroadcast_seconds=0.5,
                scan_seconds=1.0,
                max_in_flight=arguments["depth"],
                contract=arguments["contract"],
            ),
            database=connect(arguments["database"]),
            chain=QuorumWalletChain(pool, wallet=signer.address, token=TOKEN),
            signer=signer,
            payment_proof=stripe,
            clock=SystemClock(),
            ids=RandomIds(),
            metrics=RecordedMetrics(),
            checkpoint=checkpoint,
            gate=FakeGate(),
            policy=NoLimits(),
            cold_wallet=PoolColdWallet(pool, pin, forbidden_owners=[signer.address]),
        )
    )
    while True:
        if not await sender.step():
            await asyncio.sleep(0.1)


asyncio.run(run(json.loads(sys.argv[1])))
