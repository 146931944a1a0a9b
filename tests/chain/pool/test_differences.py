"""Both answers of a contradiction are shown to people, reduced to what differs, and a quarantined node keeps them."""

from typing import Any

import pytest

from chain.errors import CallReverted
from chain.pool.differences import MAX_LENGTH, in_words


@pytest.mark.parametrize(
    ("answer", "agreed", "expected"),
    [
        ("0x1", "0x2", ('"0x1"', '"0x2"')),
        ({"status": "0x0", "to": "0xAB"}, {"status": "0x1", "to": "0xab"}, ('{"status":"0x0"}', '{"status":"0x1"}')),
        ({"a": 1}, {"b": 2}, ('{"a":1}', '{"b":2}')),
        ({"a": 1}, ["x"], ('{"a":1}', '["x"]')),
        (CallReverted("n", "no balance"), "0x1", ("reverted: no balance", '"0x1"')),
    ],
)
def test_two_answers_are_reduced_to_what_differs(answer: Any, agreed: Any, expected: tuple[str, str]) -> None:
    assert in_words(answer, agreed) == expected


def test_a_long_answer_is_cut() -> None:
    said, _ = in_words("0x" + "00" * 1_000_000, "0x")
    assert (len(said), said.endswith("...")) == (MAX_LENGTH, True)


async def test_a_quarantined_node_keeps_both_answers_and_who_agreed(nodes: Any, pool: Any) -> None:
    for node, value in zip(nodes, ("0x1", "0x5", "0x5"), strict=True):
        node.results["eth_getBalance"] = value
    await pool.quorum("eth_getBalance", ["0x" + "11" * 20, "0x64"])
    (disagreement,) = pool.nodes[0].disagreements.unresolved
    assert (disagreement.said, disagreement.agreed) == ('"0x1"', '"0x5"')
    assert (disagreement.agreed_by, disagreement.since is not None) == (("b.test", "c.test"), True)
    first = disagreement.since
    await pool.quorum("eth_getBalance", ["0x" + "11" * 20, "0x64"])
    assert [one.since for one in pool.nodes[0].disagreements.unresolved] == [first]
