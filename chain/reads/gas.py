"""How much gas transactions need, and which fees to offer for it."""

import asyncio
import statistics
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from chain.errors import CallReverted, MethodMissing, NoAgreement
from chain.node.batch import Batcher
from chain.pool.pool import Pool
from chain.pool.quorum import GRACE
from chain.types import Address, quantity, to_hex

GWEI = 10**9
DEFAULT_CEILING = 500 * GWEI
"""The highest fee to offer, in wei per unit of gas. No honest Mezo node suggests more; the minimum is about a thousandth of a gwei.

The treasury's own ceiling is far lower.
"""
_MIN_FAILURES = 2


@dataclass(frozen=True, slots=True)
class Fees:
    """The fees to offer, in wei per unit of gas: the maximum, and the tip that it includes."""

    max_fee: int
    priority: int


async def estimate_gas(pool: Pool, sender: Address, to: Address, value: int, data: bytes) -> int:
    """Return the gas limit for a transaction: the median of the nodes' estimates plus a quarter. Raises NoAgreement if no node gives one.

    Mezo charges at least half the limit. A plain payment to a Safe's proxy needs more than 21,000 gas, because it emits an event.
    """
    call = {"from": sender, "to": to, "value": hex(value), "data": to_hex(data)}
    median = statistics.median_high(await _numbers(pool, "eth_estimateGas", [call]))
    return median + median // 4


async def estimate_call(pool: Pool, sender: Address, to: Address, data: bytes, ceiling: int) -> int | None:
    """Return the gas limit for a call: the median of the nodes' estimates plus a quarter; None if more nodes say that it would fail.

    A node whose estimate plus a quarter is above `ceiling` counts as one that says so. Raises NoAgreement if no node gives an estimate and
    fewer than two say that the call would fail: a single node must not keep a buyer's payout back.
    """
    call = {"from": sender, "to": to, "data": to_hex(data)}
    numbers: list[int] = []
    failures = 0
    for reply in await pool.broadcast("eth_estimateGas", [call], patience=GRACE):
        failures += isinstance(reply.error, CallReverted)
        if reply.error is None:
            with suppress(ValueError):
                number = quantity(reply.result)
                estimate = number + number // 4
                if estimate > ceiling:
                    failures += 1
                else:
                    numbers.append(estimate)
    if not numbers and failures < _MIN_FAILURES:
        raise NoAgreement("silence", detail=f"eth_estimateGas: {failures} nodes answered.")
    return None if failures > len(numbers) else statistics.median_high(numbers)


async def suggest_fees(pool: Pool, *, ceiling: int = DEFAULT_CEILING, batcher: Batcher | None = None) -> Fees:
    """Return the fees to offer: twice the agreed base fee plus a tip, never above `ceiling` wei per unit of gas. Raises NoAgreement.

    The tip does not order transactions on Mezo, and the base fee rises by an eighth per block at most, so twice the base fee is enough for
    five full blocks. Suggestions of nodes are taken at their median, so that one node cannot set our price.
    """
    await pool.refresh()
    block = hex(pool.agreed_head())

    def base_of(raw: Any) -> int:
        return quantity(raw["baseFeePerGas"])

    batcher = batcher or pool.batcher()
    # mezod's gas price is never below the minimum that its mempool requires.
    agreed, tips, prices = await asyncio.gather(
        pool.quorum("eth_getBlockByNumber", [block, False], key=base_of, batcher=batcher),
        _numbers(pool, "eth_maxPriorityFeePerGas", [], batcher, may_lack=True),
        _numbers(pool, "eth_gasPrice", [], batcher, may_lack=True),
    )
    base = base_of(agreed.value)
    # A gateway may allow one of the two methods or neither. The gas price is base fee plus tip, and a tip of zero is
    # enough while blocks are not full.
    price = statistics.median_low(prices) if prices else 0
    tip = statistics.median_low(tips) if tips else max(price - base, 0)
    max_fee = min(max(2 * base + tip, price), ceiling)
    return Fees(max_fee, min(tip, max_fee))


async def _numbers(
    pool: Pool, method: str, params: list[Any], batcher: Batcher | None = None, *, may_lack: bool = False
) -> list[int]:
    """Return the numbers that nodes return in time. Raises NoAgreement if there are none.

    With `may_lack`, the result is empty if no node returns a number and at least one does not have the method, which a gateway's
    list of allowed methods may omit.
    """
    numbers: list[int] = []
    is_lacking = False
    for reply in await pool.broadcast(method, params, batcher=batcher, patience=GRACE):
        if reply.error is not None:
            is_lacking |= isinstance(reply.error, MethodMissing)
            continue
        try:
            numbers.append(quantity(reply.result))
        except ValueError:
            continue
    if not numbers and not (may_lack and is_lacking):
        raise NoAgreement("silence", detail=f"{method}: no node answered.")
    return numbers
