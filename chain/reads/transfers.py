"""All transfers from the addresses that matter, read once a block for every session together.

The filter names the senders, not the buyers, so its cost does not know how many buyers wait; and it shows transfers
that no row of ours explains.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from chain.abi.erc20 import TRANSFER_TOPIC, address_topic, decode_transfer_log
from chain.errors import NoAgreement, NodeError
from chain.node.log_coverage import FIRST_WINDOW
from chain.node.node import Node
from chain.pool.pool import Pool
from chain.reads.logs import CoveredLogs, read_logs
from chain.reads.receipts import agreed_receipts, transfers_of
from chain.types import Address, Transfer, to_checksum

STRAGGLER_SECONDS = 1.0
"""Seconds that the union waits for one more node once as many have answered as must agree."""


_MAX_RECEIPTS = 20


@dataclass(frozen=True, slots=True)
class Reading:
    """Transfers that may be relied upon.

    `covered_from`: from there on enough providers have shown that they hold the range; before it, what is missing here may
    still have happened. `doubted_from`: the first block, from there on, of which one provider tells more than is known yet.
    """

    transfers: tuple[Transfer, ...]
    doubted_from: int | None
    covered_from: int


class TransferReader:
    """Reads the token's transfers from a few senders."""

    def __init__(self, pool: Pool, token: Address, senders: Collection[Address]) -> None:
        """Raises ValueError for what is no address."""
        self._pool = pool
        self._token = to_checksum(token)
        self._senders = frozenset(to_checksum(sender) for sender in senders)
        self._topics = [TRANSFER_TOPIC, sorted(address_topic(sender) for sender in self._senders)]

    @property
    def window(self) -> int:
        """Blocks that as many providers as must agree give at once, as far as they have been asked."""
        best: dict[str, int] = {}
        for node in self._pool.nodes:
            if node.usable and not node.quarantined:
                best[node.provider] = max(node.window.blocks, best.get(node.provider, 0))
        sizes = sorted(best.values(), reverse=True)
        return sizes[self._pool.agreement - 1] if len(sizes) >= self._pool.agreement else FIRST_WINDOW

    async def read_agreed(self, frm: int, to: int) -> Reading:
        """The transfers of a range that enough providers tell alike, or whose receipt they agree on.

        One provider can neither hide a transfer by an empty answer, nor have one believed that was not, or was of
        somebody else. Costs one eth_getLogs at each provider for each of its windows, the block at the range's start
        where an empty answer is not believed yet, and a receipt for each transaction that not enough of them tell of,
        up to 20, asked together. Raises NoAgreement where nobody answered.
        """
        if not self._senders or frm > to:
            return Reading((), None, frm)
        told = await self._told(frm, to)
        kept = self._kept(told, frm, to)
        found = {transfer: None for transfer, voices in kept.items() if len(voices) >= self._pool.agreement}
        known = {(transfer.tx_hash, transfer.log_index) for transfer in found}
        doubted: dict[str, int] = {}
        for transfer in kept:
            if (transfer.tx_hash, transfer.log_index) not in known:
                doubted[transfer.tx_hash] = min(transfer.block.number, doubted.get(transfer.tx_hash, to))
        # The newest first: whoever invents transfers without end must not keep a buyer of now waiting behind them.
        asked = list(reversed(doubted))[:_MAX_RECEIPTS]
        for tx_hash, receipt in zip(asked, await agreed_receipts(self._pool, asked), strict=True):
            if receipt is None:
                continue
            del doubted[tx_hash]
            found |= dict.fromkeys(t for t in transfers_of(receipt) if self._matters(t, frm, to))
        transfers = sorted(found, key=lambda transfer: (transfer.block.number, transfer.log_index))
        covered_from = self._covered_from(told, to)
        doubts = [block for block in doubted.values() if block >= covered_from]
        return Reading(tuple(transfers), min(doubts, default=None), covered_from)

    async def _told(self, frm: int, to: int) -> list[tuple[str, CoveredLogs]]:
        """What each node tells, with its provider."""
        await self._pool.refresh()
        able = [node for node in self._pool.nodes if not node.quarantined and node.usable and node.covers(to)]
        asked = {asyncio.create_task(self._ask(node, frm, to)): node for node in able}
        pending = set(asked)
        spoke: list[tuple[str, CoveredLogs]] = []
        try:
            while pending:
                # Enough have spoken: a node that drips or hangs is not waited for, the overlap asks it again.
                patience = STRAGGLER_SECONDS if self._covered_from(spoke, to) == frm else None
                done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    break
                for task in done:
                    told = task.result()
                    if told is not None:
                        spoke.append((asked[task].provider, told))
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        if not spoke:
            raise NoAgreement("silence", detail=f"eth_getLogs: no node that has reached block {to} answered.")
        return spoke

    async def _ask(self, node: Node, frm: int, to: int) -> CoveredLogs | None:
        try:
            return await read_logs(node, self._token, self._topics, frm, to)
        except NodeError:
            return None  # the node has taken note of it

    def _covered_from(self, told: list[tuple[str, CoveredLogs]], to: int) -> int:
        first: dict[str, int] = {}
        for provider, one in told:
            first[provider] = min(one.covered_from, first.get(provider, to + 1))
        ranked = sorted(first.values())
        return ranked[self._pool.agreement - 1] if len(ranked) >= self._pool.agreement else to + 1

    def _kept(self, told: list[tuple[str, CoveredLogs]], frm: int, to: int) -> dict[Transfer, set[str]]:
        """What really is a transfer of the token, from a sender, in the range, oldest first, with who tells it.

        A node may send anything.
        """
        voices: dict[Transfer, set[str]] = {}
        read: list[tuple[list[Mapping[str, Any]], list[Transfer]]] = []
        for provider, one in told:
            # Who tells the very same is not read a second time.
            transfers = next((alike for logs, alike in read if _alike(logs, one.logs)), None)
            if transfers is None:
                decoded = (decode_transfer_log(log) for log in one.logs)
                transfers = [item for item in decoded if item is not None and self._matters(item, frm, to)]
                read.append((one.logs, transfers))
            for transfer in transfers:
                voices.setdefault(transfer, set()).add(provider)
        return dict(sorted(voices.items(), key=lambda item: (item[0].block.number, item[0].log_index)))

    def _matters(self, transfer: Transfer, frm: int, to: int) -> bool:
        return transfer.token == self._token and transfer.sender in self._senders and frm <= transfer.block.number <= to


def _alike(logs: list[Mapping[str, Any]], others: list[Mapping[str, Any]]) -> bool:
    try:
        return logs == others
    except RecursionError:  # nested more deeply than anything that is a log
        return False
