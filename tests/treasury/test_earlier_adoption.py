"""Payments that an earlier hot wallet made through PayOnce, on the real chain: found by one question, and adopted one by one."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from chain.abi.payonce import Payment
from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.types import to_checksum
from kit.db.database import Database
from kit.ids import RandomIds
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.hot_wallet import TOKEN
from tests.support.payonce_chain import PayOnceChain
from treasury import earlier_adoption
from treasury.core.hot_wallets import HotWallet
from treasury.core.status import Status
from treasury.earlier_payments import EarlierWalletReader
from treasury.payouts import service as payouts_service
from treasury.payouts.service import reference_text
from treasury.transactions import queries
from treasury.transactions.model import PaymentOutcome

AMOUNT = 5
"""Base units of each payment."""
NOW = datetime.now(UTC)
BUYERS = ["0x" + f"{0xAB00 + number:040x}" for number in range(2)]


def reference(session: str) -> bytes:
    return bytes.fromhex(reference_text(session)[2:])


@pytest.fixture
async def payonce(chain: DevChain) -> PayOnceChain:
    made = PayOnceChain(chain)
    await made.prepare()
    return made


async def owe(database: Database, session: str, to: str, wallet: str) -> str:
    async with database.write() as conn:
        return await payouts_service.create_payout(
            conn,
            session_id=session,
            stripe_session_id="cos_" + session,
            to=to,
            amount=AMOUNT,
            token=TOKEN,
            wallet=wallet,
            now=NOW,
            ids=RandomIds(),
        )


async def test_each_payment_of_a_batch_is_adopted_by_its_own_purchase(
    payonce: PayOnceChain, database: Database
) -> None:
    payer = payonce.payers[0]
    sessions = [f"ons_{secrets.token_hex(8)}" for _ in range(3)]
    recipients = [*BUYERS, TOKEN]  # the token refuses to be paid itself
    payments = [
        Payment(reference(session), to_checksum(to), AMOUNT) for session, to in zip(sessions, recipients, strict=True)
    ]
    await payonce.approve("MUSD", payer)
    paid = await payonce.pay("MUSD", payer, payments)
    assert paid.kinds == "ppf"
    await payonce.chain.rpc("anvil_mine", "0x2")
    pool = Pool(parse_nodes(",".join(payonce.chain.rpc_urls), ""), chain_id=CHAIN_ID)
    reader = EarlierWalletReader(pool, database, chain_id=CHAIN_ID, token=TOKEN, contract=payonce.contract)
    since, wallet = NOW - timedelta(hours=1), HotWallet(CHAIN_ID, payer)
    try:
        assert await reader.find(payer, "0x" + "77" * 32, since) is None
        assert await reader.find(payer, reference_text(sessions[2]), since) is None, "the token refused it"
        for session, to in zip(sessions[:2], BUYERS, strict=True):
            found = await reader.find(payer, reference_text(session), since)
            assert found is not None and found.block.number == paid.block and len(found.batch) == 3
            payout = await owe(database, session, to, payer)
            async with database.write() as conn:
                adopted = await earlier_adoption.adopt(conn, payout, found, chain_id=CHAIN_ID, now=NOW, ids=RandomIds())
            assert adopted
    finally:
        await pool.close()
    async with database.read() as conn:
        rows = [await payouts_service.by_session(conn, session) for session in sessions[:2]]
        assert [row and row.status for row in rows] == [Status.FINAL, Status.FINAL]
        assert found is not None
        batch = await queries.by_nonce(conn, wallet, found.nonce)
        used = await queries.used_references(conn, [reference_text(session) for session in sessions])
    assert batch is not None and [payment.outcome for payment in batch.payments[:2]] == [PaymentOutcome.PAID] * 2
    assert {reference_text(session) for session in sessions[:2]} <= used
