"""Nodes that answer wrongly, before a real chain: one of three changes nothing, and two cannot make a false answer true."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from chain.abi.erc20 import encode_transfer
from chain.errors import NodeError
from chain.pool.pool import Pool
from chain.reads.transfer_proof import ExpectedTransfer, Mismatch, Proven, Reverted, Waiting, prove
from chain.reads.transfers import TransferReader
from onramp.dev.chain.devchain import DevChain
from tests.support import faulty_proxy, wire_faults
from tests.support.faulty_proxy import Fault, FaultyProxy
from tests.support.receipts import BUYER, OWED, SENDER
from tests.support.waiting import eventually

RECEIPT = "eth_getTransactionReceipt"
CHAIN_ID = 31611


@dataclass(frozen=True)
class Paid:
    """A chain on which the buyer was paid the owed amount once, and another amount once."""

    chain: DevChain
    token: str
    right: str
    wrong: str

    @property
    def expected(self) -> ExpectedTransfer:
        """The transfer that is owed."""
        return ExpectedTransfer(self.token, BUYER, OWED, SENDER)


@pytest.fixture(scope="module")
def paid(module_chain: DevChain) -> Paid:
    chain, token = module_chain, module_chain.deployment.musd

    async def send(units: int) -> str:
        call = {"from": SENDER, "to": token, "data": "0x" + encode_transfer(BUYER, units).hex()}
        return str(await chain.rpc("eth_sendTransaction", call))

    async def pay() -> tuple[str, str]:
        await chain.mint(SENDER, 10 * OWED)
        await chain.fund_gas(SENDER, 10**18)
        await chain.rpc("anvil_impersonateAccount", SENDER)
        right = await send(OWED)
        wrong = await send(OWED + 1)
        await chain.rpc("anvil_mine", "0x3")
        return right, wrong

    right, wrong = asyncio.run(pay())
    return Paid(chain, token, right, wrong)


@pytest.fixture
def make_pool(provider_pool: Callable[..., Pool]) -> Callable[[int], Pool]:
    """Correct nodes may be slow on a busy machine, which is no wrong answer."""
    return partial(provider_pool, timeout=30.0)


@pytest.fixture
def make_impatient(provider_pool: Callable[..., Pool]) -> Callable[[int], Pool]:
    """Return pools with a short timeout: if too few nodes may be left to decide, a hanging node is waited for until the timeout."""
    return partial(provider_pool, timeout=0.7)


@dataclass(frozen=True)
class Case:
    """A wrong answer to some methods. `silent`: its node takes no part in the agreed answer; `alike`: two wrong nodes give the same one."""

    wrong: Callable[[int], Fault]
    methods: tuple[str, ...] = ()
    silent: bool = True
    alike: bool = False


CASES = {
    "stale-head": Case(lambda n: faulty_proxy.stale_head(50 + n), ("eth_blockNumber",), silent=False),
    "boasting-head": Case(lambda n: faulty_proxy.stale_head(-1000 - n), ("eth_blockNumber",), silent=False),
    "wrong-chain-id": Case(lambda n: faulty_proxy.instead(hex(1 + n)), ("eth_chainId",)),
    "no-log": Case(lambda n: faulty_proxy.without_log(), (RECEIPT,), alike=True),
    "reverted": Case(lambda n: faulty_proxy.reverted(), (RECEIPT,), alike=True),
    "amount": Case(lambda n: faulty_proxy.with_amount(7 + n), (RECEIPT,)),
    "recipient": Case(lambda n: faulty_proxy.with_recipient(f"0x{n + 1:040x}"), (RECEIPT,)),
    "token": Case(lambda n: faulty_proxy.with_token(f"0x{n + 1:040x}"), (RECEIPT,)),
    "block-hash": Case(lambda n: faulty_proxy.with_block_hash(f"0x{n + 1:064x}"), (RECEIPT,)),
    "null-receipt": Case(lambda n: faulty_proxy.instead(None), (RECEIPT,)),
    "receipt-no-object": Case(lambda n: faulty_proxy.instead([1, "x"]), (RECEIPT,)),
    "empty-logs": Case(lambda n: faulty_proxy.instead([]), ("eth_getLogs",), silent=False),
    "pruned": Case(lambda n: faulty_proxy.refused(-32000, "missing trie node: pruned"), (RECEIPT,)),
    "rpc-lockdown": Case(lambda n: faulty_proxy.refused(-32000, "rejected by the transaction lockdown"), (RECEIPT,)),
    "html": Case(lambda n: wire_faults.html()),
    "html-502": Case(lambda n: wire_faults.html(502)),
    "429": Case(lambda n: wire_faults.too_many()),
    "429-seconds": Case(lambda n: wire_faults.too_many("30")),
    "429-date": Case(lambda n: wire_faults.too_many("Wed, 21 Oct 2099 07:28:00 GMT")),
    "429-nonsense": Case(lambda n: wire_faults.too_many("soon")),
    "hang": Case(lambda n: wire_faults.hang()),
    "hang-receipt": Case(lambda n: wire_faults.hang(), (RECEIPT,)),
    "drip": Case(lambda n: wire_faults.drip(), (RECEIPT,)),
    "truncated": Case(lambda n: wire_faults.truncated()),
    "huge": Case(lambda n: wire_faults.Huge(), (RECEIPT,)),
    "reset": Case(lambda n: wire_faults.reset()),
    "other-id": Case(lambda n: faulty_proxy.another_id()),
}
every_lie = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def answer_wrongly(case: Case, *proxies: FaultyProxy, colluding: bool = False) -> None:
    for number, proxy in enumerate(proxies):
        proxy.always(case.wrong(0 if colluding else number), *case.methods)


@every_lie
async def test_one_wrong_node_of_three_changes_nothing(
    paid: Paid, providers: list[FaultyProxy], make_pool: Callable[[int], Pool], case: Case
) -> None:
    answer_wrongly(case, providers[0])
    pool, everyone = make_pool(2), {"beta", "gamma"} if case.silent else {"alpha", "beta", "gamma"}
    agreed_by: set[str] = set()
    async with asyncio.timeout(60):
        while agreed_by != everyone:  # a decided vote does not wait long for who is slow
            verdict = await prove(pool, paid.right, paid.expected)
            assert isinstance(verdict, Proven), verdict
            assert verdict.transfer.amount == OWED
            assert verdict.transfer.recipient == BUYER
            agreed_by = set(verdict.agreed_by)
            assert agreed_by <= everyone


@every_lie
async def test_one_wrong_node_of_three_does_not_hide_another_amount(
    paid: Paid, providers: list[FaultyProxy], make_pool: Callable[[int], Pool], case: Case
) -> None:
    answer_wrongly(case, providers[0])
    assert isinstance(await prove(make_pool(2), paid.wrong, paid.expected), Mismatch)


@every_lie
@pytest.mark.parametrize("colluding", [False, True], ids=["each-his-own", "colluding"])
async def test_two_wrong_nodes_of_three_cannot_disprove_a_true_transfer(
    paid: Paid, providers: list[FaultyProxy], make_impatient: Callable[[int], Pool], case: Case, *, colluding: bool
) -> None:
    """Two nodes with the same wrong answer are two votes: CHAIN_AGREEMENT=3 protects against them."""
    answer_wrongly(case, *providers[:2], colluding=colluding)
    verdict = await prove(make_impatient(3 if colluding or case.alike else 2), paid.right, paid.expected)
    assert isinstance(verdict, Proven | Waiting), verdict
    if isinstance(verdict, Proven):
        assert verdict.transfer.amount == OWED
        assert verdict.transfer.recipient == BUYER
        assert not case.silent


async def test_two_forgers_of_three_cannot_make_a_false_transfer_true(
    paid: Paid, providers: list[FaultyProxy], make_impatient: Callable[[int], Pool]
) -> None:
    for proxy in providers[:2]:
        proxy.always(faulty_proxy.with_amount(OWED), RECEIPT)
    assert isinstance(await prove(make_impatient(3), paid.wrong, paid.expected), Waiting)


async def test_one_wrong_node_of_three_cannot_prove_a_false_transfer(
    paid: Paid,
    providers: list[FaultyProxy],
    make_pool: Callable[[int], Pool],
    make_impatient: Callable[[int], Pool],
) -> None:
    providers[0].always(faulty_proxy.with_amount(OWED), RECEIPT)
    assert isinstance(await prove(make_pool(2), paid.wrong, paid.expected), Mismatch)
    providers[1].always(wire_faults.hang(), RECEIPT)
    assert not isinstance(await prove(make_impatient(2), paid.wrong, paid.expected), Proven | Reverted)


async def test_a_huge_body_is_cut_off(
    paid: Paid, providers: list[FaultyProxy], make_pool: Callable[[int], Pool]
) -> None:
    huge = wire_faults.Huge()
    providers[0].always(huge, RECEIPT)
    pool = make_pool(2)
    with pytest.raises(NodeError, match="larger than"):
        await pool.nodes[0].call(RECEIPT, [paid.right], 10.0)
    assert huge.sent < huge.SIZE // 2


async def test_a_node_that_fails_now_and_then_is_overtaken_and_comes_back(
    paid: Paid, providers: list[FaultyProxy], make_pool: Callable[[int], Pool]
) -> None:
    providers[0].always(faulty_proxy.with_amount(7), RECEIPT)
    pool = make_pool(2)

    async def proved_until(*, aside: bool) -> None:
        assert isinstance(await prove(pool, paid.right, paid.expected), Proven)
        # A decided vote evaluates slow answers in the background.
        await eventually(lambda: pool.nodes[0].quarantined == aside, every=0.02)

    await proved_until(aside=True)
    providers[0].clear_faults()
    await proved_until(aside=False)


FORGED_LOGS = {
    "empty": faulty_proxy.instead([]),
    "amount": faulty_proxy.bent(lambda logs: [{**log, "data": "0x" + "0" * 63 + "7"} for log in logs]),
    "another-log": faulty_proxy.bent(lambda logs: [*logs, *({**log, "logIndex": "0x63"} for log in logs)]),
    "another-transaction": faulty_proxy.bent(
        lambda logs: [*logs, *({**log, "transactionHash": "0x" + "ab" * 32} for log in logs)]
    ),
    "another-block": faulty_proxy.bent(lambda logs: [{**log, "blockHash": "0x" + "cd" * 32} for log in logs]),
    "no-list": faulty_proxy.instead("0x"),
}


@pytest.mark.parametrize("wrong", FORGED_LOGS.values(), ids=FORGED_LOGS)
@pytest.mark.parametrize("pruned", [False, True], ids=["", "and-one-pruned"])
async def test_transfers_are_read_correctly_although_one_node_is_wrong(
    paid: Paid, providers: list[FaultyProxy], make_pool: Callable[[int], Pool], wrong: Fault, *, pruned: bool
) -> None:
    providers[0].always(wrong, "eth_getLogs")
    if pruned:
        providers[1].always(faulty_proxy.instead([]), "eth_getLogs")
    pool = make_pool(2)
    await pool.refresh()
    head = pool.agreed_head()
    reading = await TransferReader(pool, paid.token, [SENDER]).read_agreed(0, head)
    transfers = [(transfer.tx_hash, transfer.recipient, transfer.amount) for transfer in reading.transfers]
    assert transfers == [(paid.right, BUYER, OWED), (paid.wrong, BUYER, OWED + 1)]
    assert (reading.doubted_from is None) == (wrong is not FORGED_LOGS["another-transaction"])
