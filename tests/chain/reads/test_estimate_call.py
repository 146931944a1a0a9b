"""The estimate of a call: no single node decides that it would fail."""

from typing import Any

import pytest

from chain.errors import CallReverted, NoAgreement, Unreachable
from chain.pool.fan_out import NodeReply
from chain.reads.gas import estimate_call
from chain.types import ZERO_ADDRESS

HONEST = NodeReply("one", hex(200_000))
HUGE = NodeReply("two", hex(10**12))
FAILS = NodeReply("two", error=CallReverted("two", "execution reverted"))
SILENT = NodeReply("three", error=Unreachable("three", "no answer"))


class Replies:
    def __init__(self, *replies: NodeReply) -> None:
        self._replies = list(replies)

    async def broadcast(self, *_: Any, **__: Any) -> list[NodeReply]:
        return self._replies


async def estimate(*replies: NodeReply) -> int | None:
    pool: Any = Replies(*replies)
    return await estimate_call(pool, ZERO_ADDRESS, ZERO_ADDRESS, b"", 490_000)


@pytest.mark.parametrize("other", [HUGE, FAILS, SILENT])
async def test_one_of_two_nodes_cannot_make_a_call_fail(other: NodeReply) -> None:
    assert await estimate(HONEST, other) == 250_000


@pytest.mark.parametrize("only", [HUGE, FAILS, SILENT])
async def test_one_node_alone_does_not_decide(only: NodeReply) -> None:
    with pytest.raises(NoAgreement):
        await estimate(only, SILENT)


async def test_two_nodes_decide() -> None:
    assert await estimate(HUGE, FAILS) is None
    assert await estimate(HONEST, HUGE, FAILS) is None
