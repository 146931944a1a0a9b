"""Read all transfers from a few senders in a range of blocks, with one query for all sessions together.

The filter contains the senders, not the buyers, so the cost does not depend on the number of waiting buyers. It also finds
transfers that no record of ours explains.
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
from chain.reads.receipts import agreed_receipts
from chain.reads.transfer_proof import transfers_of
from chain.types import Address, Transfer, to_checksum

STRAGGLER_SECONDS = 1.0
"""Seconds to wait for each further node once as many providers as must agree have answered."""
_MAX_RECEIPTS = 20
"""The most receipts read for one range, for transactions that too few providers report."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The agreed transfers of a range of blocks.

    From block `covered_from` on, enough providers are proven to have the range; before it, a transfer that is missing here may
    still have happened. `doubted_from` is the first block in which a provider reports a transfer that is not agreed yet; None if every
    reported transfer is agreed.
    """

    transfers: tuple[Transfer, ...]
    doubted_from: int | None
    covered_from: int


class TransferReader:
    """Reads one token's transfers from a few senders."""

    def __init__(self, pool: Pool, token: Address, senders: Collection[Address]) -> None:
        """Prepare the filter. Raises ValueError if an address is invalid."""
        self._pool = pool
        self._token = to_checksum(token)
        self._senders = frozenset(to_checksum(sender) for sender in senders)
        self._topics = [TRANSFER_TOPIC, sorted(address_topic(sender) for sender in self._senders)]

    @property
    def window(self) -> int:
        """How many blocks one request for logs may cover so that as many providers as must agree can answer it, as learned so far."""
        best: dict[str, int] = {}
        for node in self._pool.nodes:
            if node.usable and not node.quarantined:
                best[node.provider] = max(node.window.blocks, best.get(node.provider, 0))
        sizes = sorted(best.values(), reverse=True)
        return sizes[self._pool.agreement - 1] if len(sizes) >= self._pool.agreement else FIRST_WINDOW

    async def read_agreed(self, frm: int, to: int) -> Reading:
        """Return the transfers in blocks `frm` to `to`, both included, that enough providers report, or whose receipt they agree on.

        One provider can neither hide a transfer with an empty answer, nor invent or redirect one. The cost is one eth_getLogs at
        each provider for each of its windows, the block at the range's start if an empty answer is not believed yet, and a receipt for
        each transaction that too few providers report, up to 20 in one batch. Raises NoAgreement if no node answered.
        """
        if not self._senders or frm > to:
            return Reading((), None, frm)
        reports = await self._read_nodes(frm, to)
        reporters = self._reporters(reports, frm, to)
        agreed = {transfer: None for transfer, providers in reporters.items() if len(providers) >= self._pool.agreement}
        agreed_logs = {(transfer.tx_hash, transfer.log_index) for transfer in agreed}
        doubted: dict[str, int] = {}
        for transfer in reporters:
            if (transfer.tx_hash, transfer.log_index) not in agreed_logs:
                doubted[transfer.tx_hash] = min(transfer.block.number, doubted.get(transfer.tx_hash, to))
        # The newest first: a node that invents transfers without end must not keep a current buyer waiting behind them.
        hashes = list(reversed(doubted))[:_MAX_RECEIPTS]
        for tx_hash, receipt in zip(hashes, await agreed_receipts(self._pool, hashes), strict=True):
            if receipt is None:
                continue
            del doubted[tx_hash]
            agreed |= dict.fromkeys(t for t in transfers_of(receipt) if self._matters(t, frm, to))
        transfers = sorted(agreed, key=lambda transfer: (transfer.block.number, transfer.log_index))
        covered_from = self._covered_from(reports, to)
        doubts = [block for block in doubted.values() if block >= covered_from]
        return Reading(tuple(transfers), min(doubts, default=None), covered_from)

    async def _read_nodes(self, frm: int, to: int) -> list[tuple[str, CoveredLogs]]:
        """Return each node's logs with its provider."""
        await self._pool.refresh()
        nodes = [node for node in self._pool.nodes if not node.quarantined and node.usable and node.covers(to)]
        asked = {asyncio.create_task(self._ask(node, frm, to)): node for node in nodes}
        pending = set(asked)
        reports: list[tuple[str, CoveredLogs]] = []
        try:
            while pending:
                # Once enough have answered, a slow node is not waited for; the next range overlaps and asks it again.
                patience = STRAGGLER_SECONDS if self._covered_from(reports, to) == frm else None
                done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    break
                for task in done:
                    covered = task.result()
                    if covered is not None:
                        reports.append((asked[task].provider, covered))
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        if not reports:
            raise NoAgreement("silence", detail=f"eth_getLogs: no node that has reached block {to} answered.")
        return reports

    async def _ask(self, node: Node, frm: int, to: int) -> CoveredLogs | None:
        try:
            return await read_logs(node, self._token, self._topics, frm, to)
        except NodeError:
            return None  # the node recorded the error

    def _covered_from(self, reports: list[tuple[str, CoveredLogs]], to: int) -> int:
        first: dict[str, int] = {}
        for provider, covered in reports:
            first[provider] = min(covered.covered_from, first.get(provider, to + 1))
        ranked = sorted(first.values())
        return ranked[self._pool.agreement - 1] if len(ranked) >= self._pool.agreement else to + 1

    def _reporters(self, reports: list[tuple[str, CoveredLogs]], frm: int, to: int) -> dict[Transfer, set[str]]:
        """Return the valid transfers of the token from a sender in the range, oldest first, with the providers that report them.

        A node may return anything, so everything else is dropped.
        """
        reporters: dict[Transfer, set[str]] = {}
        decoded: list[tuple[list[Mapping[str, Any]], list[Transfer]]] = []
        for provider, covered in reports:
            # Equal logs are decoded only once.
            transfers = next((same for logs, same in decoded if _equal(logs, covered.logs)), None)
            if transfers is None:
                parsed = (decode_transfer_log(log) for log in covered.logs)
                transfers = [item for item in parsed if item is not None and self._matters(item, frm, to)]
                decoded.append((covered.logs, transfers))
            for transfer in transfers:
                reporters.setdefault(transfer, set()).add(provider)
        return dict(sorted(reporters.items(), key=lambda item: (item[0].block.number, item[0].log_index)))

    def _matters(self, transfer: Transfer, frm: int, to: int) -> bool:
        return transfer.token == self._token and transfer.sender in self._senders and frm <= transfer.block.number <= to


def _equal(logs: list[Mapping[str, Any]], others: list[Mapping[str, Any]]) -> bool:
    try:
        return logs == others
    except RecursionError:  # nested more deeply than any log
        return False
