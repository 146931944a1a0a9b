"""Many calls in one request: each gets its answer or an error, whatever the node returns, and each is counted in the budget."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiohttp import web

from chain.abi.erc20 import encode_transfer
from chain.errors import Malformed, NodeError, RateLimited, Unreachable
from chain.node.batch import MAX_BATCH, RETRY_AFTER
from chain.node.budget import Plan
from chain.pool.pool import Pool
from chain.reads.receipts import agreed_receipts
from chain.reads.transfer_proof import ExpectedTransfer, Mismatch, Proven, prove_many
from onramp.dev.chain.devchain import DevChain
from tests.support import faulty_proxy, wire_faults
from tests.support.faulty_proxy import FaultyProxy
from tests.support.receipts import BUYER, OWED, SENDER
from tests.support.wire_faults import BATCHES

RECEIPT = "eth_getTransactionReceipt"
MANY = 30


def questions(count: int) -> list[tuple[str, list[Any]]]:
    return [("eth_getBalance", [hex(number)]) for number in range(count)]


def echo(nodes: Any) -> None:
    """Answer each call with its own parameters."""
    for node in nodes:
        node.results["eth_getBalance"] = lambda params: params[0]


async def gathered(pool: Any, count: int, node: int = 0) -> list[Any]:
    """Return what one node answers to this number of concurrent calls."""
    batcher = pool.batcher()
    asked = (batcher.call(pool.nodes[node], *one) for one in questions(count))
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_concurrent_calls_are_one_request_and_a_single_call_is_not_a_batch(nodes: Any, pool: Any) -> None:
    echo(nodes)
    assert await gathered(pool, 40) == [hex(number) for number in range(40)]
    assert nodes[0].batches == [40]
    assert await gathered(pool, 1) == ["0x0"]
    assert nodes[0].batches == [40]
    assert await gathered(pool, MAX_BATCH + 1) == [hex(number) for number in range(MAX_BATCH + 1)]
    assert nodes[0].batches == [40, MAX_BATCH]
    assert nodes[0].seen["eth_getBalance"] == 40 + 1 + MAX_BATCH + 1


async def test_an_error_in_a_batch_fails_only_its_own_call(nodes: Any, pool: Any) -> None:
    echo(nodes)
    nodes[0].errors["eth_getCode"] = {"code": -32000, "message": "missing trie node"}
    answers = await pool.nodes[0].call_many([*questions(3), ("eth_getCode", []), *questions(2)])
    assert [isinstance(one, NodeError) for one in answers] == [False, False, False, True, False, False]
    assert answers[-1] == "0x1"
    assert pool.nodes[0].usable


@pytest.mark.parametrize("name", BATCHES)
async def test_each_is_answered_with_its_own_answer_or_not_at_all(nodes: Any, pool: Any, name: str) -> None:
    echo(nodes)
    nodes[0].batch = lambda answers: web.json_response(BATCHES[name](answers))
    answers = await gathered(pool, 10)
    if name == "swapped":
        return  # a wrong answer to the right call cannot be detected here; a receipt names its transaction
    for number, answer in enumerate(answers):
        assert answer == hex(number) or isinstance(answer, Malformed), (number, answer)
    answered = sum(not isinstance(answer, NodeError) for answer in answers)
    assert answered == {"half": 5, "out-of-order": 10, "twice-the-first": 9}.get(
        name, 10 if name in {"first-alone", "error", "too-large"} else 0
    )


@pytest.mark.parametrize("status", [400, 405, 413, 501])
async def test_a_node_without_batches_is_asked_one_by_one_from_then_on(nodes: Any, pool: Any, status: int) -> None:
    echo(nodes)
    nodes[0].batch = lambda answers: web.Response(status=status, text="no")
    assert await gathered(pool, 60) == [hex(number) for number in range(60)]
    assert nodes[0].batches == [60, 12, 2]
    assert await gathered(pool, 60) == [hex(number) for number in range(60)]
    assert nodes[0].batches == [60, 12, 2]
    assert pool.nodes[0].usable
    assert pool.nodes[0].cooldown.failures == 0
    nodes[0].batch = None
    pool.clock.seconds += RETRY_AFTER
    await gathered(pool, 60)
    assert nodes[0].batches == [60, 12, 2, 60]


async def test_a_limit_on_the_size_is_found(nodes: Any, pool: Any) -> None:
    echo(nodes)
    refused = BATCHES["too-large"]
    nodes[0].batch = lambda answers: web.json_response(refused(answers) if len(answers) > 20 else answers)
    assert await gathered(pool, 100) == [hex(number) for number in range(100)]
    assert nodes[0].batches == [100, 20, 20, 20, 20, 20]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda _: web.Response(status=429, headers={"Retry-After": "7"}), RateLimited),
        (lambda _: web.json_response({"id": None, "error": {"code": -32005, "message": "rate limit"}}), RateLimited),
        (lambda _: web.Response(status=502, text="<html>"), Unreachable),
        (lambda _: web.Response(status=200, text="<html>"), Malformed),
        (lambda _: web.json_response([]), Malformed),
    ],
    ids=["429", "limit", "502", "html", "empty"],
)
async def test_a_node_that_fails_fails_all_and_rests_once(nodes: Any, pool: Any, answer: Any, kind: Any) -> None:
    echo(nodes)
    nodes[0].batch = answer
    answers = await gathered(pool, MAX_BATCH + 50)
    assert all(isinstance(one, kind) for one in answers)
    assert nodes[0].batches == [MAX_BATCH], "the rest is not tried on a node that rests"
    assert not pool.nodes[0].usable
    assert pool.nodes[0].cooldown.failures == 1


async def test_each_question_is_paid_for_and_no_batch_is_larger_than_a_second_allows(
    nodes: Any, make_pool: Any
) -> None:
    echo(nodes)
    pool = make_pool(configs=[replace(nodes[0].config, spectrum=True)], agreement=1, plan=Plan(20, 1_000))
    before = pool.clock.monotonic()
    assert await gathered(pool, 60) == [hex(number) for number in range(60)]
    assert nodes[0].batches == [20, 20, 20]
    assert pool.nodes[0].budget.used == 1 + 60 * 2, "the chain id, and two credits for each"
    assert pool.clock.monotonic() - before >= 2 - 0.1
    assert pool.calls["a.test", "eth_getBalance"] == 60


async def test_a_cancelled_caller_does_not_cancel_the_batch_of_the_others(nodes: Any, pool: Any) -> None:
    echo(nodes)
    batcher = pool.batcher()
    asked = [asyncio.ensure_future(batcher.call(pool.nodes[0], *one)) for one in questions(5)]
    await asyncio.sleep(0)
    asked[0].cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == ["0x1", "0x2", "0x3", "0x4"]
    assert nodes[0].batches == [4]


class Broken:
    """Not a node's failure, but an internal error."""

    usable = True
    max_batch = 5

    async def call_many(self, calls: Any, timeout: float | None = None) -> list[Any]:
        raise KeyError(len(calls))


async def test_an_internal_error_reaches_every_caller_of_the_batch(pool: Any) -> None:
    batcher = pool.batcher()
    node = Broken()
    answers = await asyncio.gather(*(batcher.call(node, *one) for one in questions(7)), return_exceptions=True)
    assert [type(one) for one in answers] == [KeyError] * 7


@dataclass(frozen=True)
class Paid:
    """Transfers on a real node: all as owed but the last."""

    chain: DevChain
    owed: list[tuple[str, ExpectedTransfer]]


@pytest.fixture(scope="module")
def paid(module_chain: DevChain) -> Paid:
    chain, token = module_chain, module_chain.deployment.musd

    async def pay() -> list[str]:
        await chain.mint(SENDER, 100 * OWED)
        await chain.fund_gas(SENDER, 10**18)
        await chain.rpc("anvil_impersonateAccount", SENDER)
        hashes = []
        for number in range(MANY):
            units = OWED + (number == MANY - 1)
            call = {"from": SENDER, "to": token, "data": "0x" + encode_transfer(BUYER, units).hex()}
            hashes.append(str(await chain.rpc("eth_sendTransaction", call)))
        await chain.rpc("anvil_mine", "0x3")
        return hashes

    expected = ExpectedTransfer(token, BUYER, OWED, SENDER)
    return Paid(chain, [(tx_hash, expected) for tx_hash in asyncio.run(pay())])


def right(verdicts: list[Any]) -> bool:
    return all(isinstance(one, Proven) for one in verdicts[:-1]) and isinstance(verdicts[-1], Mismatch)


async def test_many_deliveries_are_proved_in_a_few_requests(
    paid: Paid, providers: list[FaultyProxy], provider_pool: Callable[..., Pool]
) -> None:
    pool = provider_pool(2)
    await pool.refresh()
    before = [proxy.requests for proxy in providers]
    assert right(await prove_many(pool, paid.owed))
    assert [proxy.requests - was for proxy, was in zip(providers, before, strict=True)] == [1, 1, 1]
    assert [proxy.calls[RECEIPT] for proxy in providers] == [MANY] * 3


@pytest.mark.parametrize("name", BATCHES)
async def test_one_node_that_mixes_up_batches_changes_nothing(
    paid: Paid, providers: list[FaultyProxy], provider_pool: Callable[..., Pool], name: str
) -> None:
    providers[0].batch = BATCHES[name]
    pool = provider_pool(2)
    await pool.refresh()
    assert right(await prove_many(pool, paid.owed))
    assert not any(node.quarantined for node in pool.nodes), (
        "a response that does not fit counts as silence, not as another answer"
    )


@pytest.mark.parametrize("name", BATCHES)
async def test_if_all_nodes_mix_up_batches_no_wrong_answer_is_accepted(
    paid: Paid, providers: list[FaultyProxy], provider_pool: Callable[..., Pool], name: str
) -> None:
    for proxy in providers:
        proxy.batch = BATCHES[name]
    pool = provider_pool(2)
    await pool.refresh()
    receipts = await agreed_receipts(pool, [tx_hash for tx_hash, _ in paid.owed])
    for receipt, (tx_hash, _) in zip(receipts, paid.owed, strict=True):
        assert receipt is None or receipt.tx_hash == tx_hash
    known = sum(receipt is not None for receipt in receipts)
    assert known == {"half": MANY // 2, "twice-the-first": MANY - 1}.get(
        name, MANY if name in {"out-of-order", "first-alone", "error", "too-large"} else 0
    )


async def test_a_node_that_answers_wrongly_in_batches_is_quarantined(
    paid: Paid, providers: list[FaultyProxy], provider_pool: Callable[..., Pool]
) -> None:
    providers[0].always(faulty_proxy.without_log(), RECEIPT)
    pool = provider_pool(2)
    await pool.refresh()
    assert right(await prove_many(pool, paid.owed))
    assert [node.quarantined for node in pool.nodes] == [True, False, False]


async def test_a_node_that_hangs_does_not_delay_the_others(
    paid: Paid, providers: list[FaultyProxy], provider_pool: Callable[..., Pool]
) -> None:
    pool = provider_pool(2)
    await pool.refresh()
    providers[0].always(wire_faults.hang(), RECEIPT)
    async with asyncio.timeout(9):
        assert right(await prove_many(pool, paid.owed))
