"""Proving one transfer: what counts, what is a mismatch, and what only means waiting."""

from dataclasses import replace
from typing import Any

import pytest

from chain.reads.transfer_proof import ExpectedTransfer, Mismatch, Proven, Reverted, Waiting, prove
from tests.support.receipts import BUYER, OTHER_TOKEN, STRANGER, TOKEN, TX, WALLET, log, receipt

EXPECTED = ExpectedTransfer(token=TOKEN, recipient=BUYER, amount=5, sender=WALLET)


def set_receipts(nodes: list[Any], *receipts: Any, heads: tuple[int, ...] = (101, 101, 101)) -> None:
    for node, one, head in zip(nodes, receipts, heads, strict=True):
        node.results["eth_getTransactionReceipt"] = one
        node.results["eth_blockNumber"] = hex(head)


async def verdict(nodes: Any, pool: Any, *logs: Any, expected: ExpectedTransfer = EXPECTED, **options: Any) -> Any:
    set_receipts(nodes, *[receipt(*logs, **options)] * 3)
    return await prove(pool, TX, expected)


async def test_the_expected_transfer_is_proven(nodes: Any, pool: Any) -> None:
    proof = await verdict(nodes, pool, log())
    assert isinstance(proof, Proven)
    assert proof.transfer.amount == 5
    assert proof.transfer.block.number == 100
    assert proof.confirmations == 2
    assert set(proof.agreed_by) == {"a.test", "b.test", "c.test"}


async def test_other_tokens_and_other_recipients_beside_it_do_not_matter(nodes: Any, pool: Any) -> None:
    proof = await verdict(nodes, pool, log(token=OTHER_TOKEN), log(index=1), log(9, recipient=STRANGER, index=2))
    assert isinstance(proof, Proven)
    assert proof.transfer.log_index == 1


@pytest.mark.parametrize(
    ("logs", "words"),
    [
        ([], "no Transfer"),
        ([log(token=OTHER_TOKEN)], "no Transfer"),
        ([log(4)], "amount is 4"),
        ([log(6)], "amount is 6"),
        ([log(recipient=STRANGER)], "not to"),
        ([log(sender=STRANGER)], "not an expected sender"),
        ([log(), log(index=1)], "exactly one"),
        ([log(), log(1, index=1)], "exactly one"),
    ],
    ids=["none", "token", "less", "more", "recipient", "sender", "twice", "and-more"],
)
async def test_anything_else_is_a_mismatch(nodes: Any, pool: Any, logs: list[Any], words: str) -> None:
    found = await verdict(nodes, pool, *logs)
    assert isinstance(found, Mismatch)
    assert words in found.detail


async def test_any_of_several_senders_will_do(nodes: Any, pool: Any) -> None:
    expected = replace(EXPECTED, sender={WALLET, STRANGER})
    assert isinstance(await verdict(nodes, pool, log(sender=STRANGER), expected=expected), Proven)


async def test_a_log_index_singles_out_one_of_two(nodes: Any, pool: Any) -> None:
    expected = replace(EXPECTED, log_index=1)
    proof = await verdict(nodes, pool, log(), log(index=1), expected=expected)
    assert isinstance(proof, Proven)
    assert proof.transfer.log_index == 1


async def test_status_zero_is_reverted(nodes: Any, pool: Any) -> None:
    found = await verdict(nodes, pool, status=0)
    assert isinstance(found, Reverted)
    assert found.block.number == 100


async def test_one_wrong_node_of_three_changes_nothing(nodes: Any, pool: Any) -> None:
    set_receipts(nodes, receipt(log(500)), receipt(log()), receipt(log()))
    proof = await prove(pool, TX, EXPECTED)
    assert isinstance(proof, Proven)
    assert set(proof.agreed_by) == {"b.test", "c.test"}
    assert pool.nodes[0].quarantined


async def test_one_node_alone_proves_nothing(nodes: Any, pool: Any) -> None:
    set_receipts(nodes, receipt(log()), None, None)
    waiting = await prove(pool, TX, EXPECTED)
    assert isinstance(waiting, Waiting)
    assert waiting.reason == "waiting_for_second_node"


async def test_another_block_hash_is_dissent(nodes: Any, pool: Any) -> None:
    set_receipts(nodes, receipt(log(), block_hash="0x" + "99" * 32), receipt(log()), None)
    waiting = await prove(pool, TX, EXPECTED)
    assert isinstance(waiting, Waiting)
    assert waiting.reason == "waiting_for_second_node"


async def test_null_everywhere_is_not_mined(nodes: Any, pool: Any) -> None:
    set_receipts(nodes, None, None, None)
    waiting = await prove(pool, TX, EXPECTED)
    assert isinstance(waiting, Waiting)
    assert waiting.reason == "not_mined"


async def test_the_block_after_must_be_there_at_enough_providers(nodes: Any, pool: Any) -> None:
    set_receipts(nodes, *[receipt(log())] * 3, heads=(100, 100, 101))
    waiting = await prove(pool, TX, EXPECTED)
    assert isinstance(waiting, Waiting)
    assert waiting.reason == "waiting_for_second_node"


async def test_a_halted_chain_has_its_own_reason(nodes: Any, pool: Any) -> None:
    set_receipts(nodes, *[receipt(log())] * 3, heads=(100, 100, 100))
    await pool.refresh()
    pool.clock.seconds += 40
    waiting = await prove(pool, TX, EXPECTED)
    assert isinstance(waiting, Waiting)
    assert waiting.reason == "chain_paused"


async def test_a_long_time_without_reads_is_not_a_halt(nodes: Any, pool: Any) -> None:
    set_receipts(nodes, None, None, None)
    pool.clock.seconds += 40
    waiting = await prove(pool, TX, EXPECTED)
    assert isinstance(waiting, Waiting)
    assert waiting.reason == "not_mined"


async def test_a_receipt_of_another_transaction_does_not_count(nodes: Any, pool: Any) -> None:
    other = {**receipt(log()), "transactionHash": "0x" + "ee" * 32}
    set_receipts(nodes, other, other, receipt(log()))
    assert isinstance(await prove(pool, TX, EXPECTED), Waiting)


async def test_dead_nodes_make_it_wait(nodes: Any, pool: Any) -> None:
    for node in nodes:
        await node.stop()
    assert isinstance(await prove(pool, TX, EXPECTED), Waiting)


async def test_a_transaction_index_that_differs_is_no_difference(nodes: Any, pool: Any) -> None:
    shifted = receipt({**log(), "transactionIndex": "0x9"})
    set_receipts(nodes, receipt(log()), {**shifted, "transactionIndex": "0x9"}, None)
    assert isinstance(await prove(pool, TX, EXPECTED), Proven)


async def test_a_receipt_older_than_the_blocks_successor_is_read_again(nodes: Any, pool: Any) -> None:
    gone = receipt(log(), block_hash="0x" + "99" * 32)
    for node in nodes:  # each reports the replaced block once
        answers = iter([gone])
        node.results["eth_getTransactionReceipt"] = lambda _params, replies=answers: next(replies, receipt(log()))
        node.results["eth_blockNumber"] = hex(101)
    proof = await prove(pool, TX, EXPECTED)
    assert isinstance(proof, Proven)
    assert proof.transfer.block.hash == receipt()["blockHash"]
