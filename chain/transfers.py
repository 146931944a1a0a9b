"""All transfers from the addresses that matter, read once a block for every session together.

The filter names the senders, not the buyers, so its cost does not know how many buyers wait; and it shows transfers
that no row of ours explains.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from chain.confirm import agreed_receipt, transfers_of
from chain.erc20 import TRANSFER_TOPIC, decode_transfer_log, topic_of
from chain.errors import NoAgreement, NodeError
from chain.logs import read_logs
from chain.pool import Pool
from chain.types import Address, Transfer, to_checksum

SLOWEST = 1.0
"""Seconds that the union waits for one more node once as many have answered as must agree."""


_RECEIPTS = 20


@dataclass(frozen=True, slots=True)
class Reading:
    """Transfers that may be relied upon; `doubted_from`: the first block of which one operator tells more than is known yet."""

    transfers: tuple[Transfer, ...]
    doubted_from: int | None


class TransferReader:
    """Reads the token's transfers from a few senders."""

    def __init__(self, pool: Pool, token: Address, senders: Collection[Address]) -> None:
        """Raises ValueError for what is no address."""
        self._pool = pool
        self._token = to_checksum(token)
        self._senders = frozenset(to_checksum(sender) for sender in senders)
        self._topics = [TRANSFER_TOPIC, sorted(topic_of(sender) for sender in self._senders)]

    async def read(self, frm: int, to: int, *, everyone: bool = False) -> list[Transfer]:
        """The transfers of blocks `frm` to `to`, both included, oldest first: a hint, to be proved one by one.

        One request to the first node whose own head covers `to`. What a node leaves out is not noticed, so ask again
        with some overlap; or `everyone`: the union of all nodes that cover the range. Raises NodeError, NoAgreement.
        """
        if not self._senders or frm > to:
            return []
        if everyone:
            return [*self._kept(await self._told(frm, to), frm, to)]
        return [*self._kept([("", log) for log in await self._first(frm, to)], frm, to)]

    async def read_agreed(self, frm: int, to: int) -> Reading:
        """The transfers of a range that enough operators tell alike, or whose receipt they agree on.

        One operator can neither hide a transfer by an empty answer, nor have one believed that was not, or was of
        somebody else. Costs one eth_getLogs at each operator, and a receipt for each transaction that not enough of
        them tell of, up to 20. Raises NodeError, NoAgreement.
        """
        if not self._senders or frm > to:
            return Reading((), None)
        kept = self._kept(await self._told(frm, to), frm, to)
        found = {transfer: None for transfer, voices in kept.items() if len(voices) >= self._pool.agreement}
        known = {(transfer.tx_hash, transfer.log_index) for transfer in found}
        doubted: dict[str, int] = {}
        for transfer in kept:
            if (transfer.tx_hash, transfer.log_index) not in known:
                doubted[transfer.tx_hash] = min(transfer.block.number, doubted.get(transfer.tx_hash, to))
        # The newest first: whoever invents transfers without end must not keep a buyer of now waiting behind them.
        for tx_hash in list(reversed(doubted))[:_RECEIPTS]:
            try:
                receipt, _ = await agreed_receipt(self._pool, tx_hash)
            except NoAgreement:
                continue
            del doubted[tx_hash]
            found |= dict.fromkeys(t for t in transfers_of(receipt) if self._matters(t, frm, to))
        transfers = sorted(found, key=lambda transfer: (transfer.block.number, transfer.log_index))
        return Reading(tuple(transfers), min(doubted.values(), default=None))

    async def _first(self, frm: int, to: int) -> list[Mapping[str, Any]]:
        async def call(method: str, params: list[Any]) -> Any:
            return await self._pool.any(method, params, reached=to)

        return await read_logs(call, self._token, self._topics, frm, to)

    async def _told(self, frm: int, to: int) -> list[tuple[str, Mapping[str, Any]]]:
        """Each log with the operator that tells it."""
        await self._pool.refresh()
        able = [node for node in self._pool.nodes if not node.set_aside and node.usable and node.covers(to)]
        asked = [asyncio.create_task(read_logs(node.call, self._token, self._topics, frm, to)) for node in able]
        pending = set(asked)
        answered = 0
        try:
            while pending:
                # Enough have spoken: a node that drips or hangs is not waited for, the overlap asks it again.
                patience = SLOWEST if answered >= self._pool.agreement else None
                done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    break
                answered += sum(not isinstance(task.exception(), NodeError) for task in done)
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        spoke = [
            (node.operator, task)
            for node, task in zip(able, asked, strict=True)
            if task not in pending and not isinstance(task.exception(), NodeError)
        ]
        if not spoke:
            raise NoAgreement("silence", detail=f"eth_getLogs: no node has reached block {to}.")
        return [(operator, log) for operator, task in spoke for log in task.result()]

    def _kept(self, logs: list[tuple[str, Mapping[str, Any]]], frm: int, to: int) -> dict[Transfer, set[str]]:
        """What really is a transfer of the token, from a sender, in the range, oldest first, with who tells it.

        A node may send anything.
        """
        voices: dict[Transfer, set[str]] = {}
        for operator, log in logs:
            transfer = decode_transfer_log(log)
            if transfer is not None and self._matters(transfer, frm, to):
                voices.setdefault(transfer, set()).add(operator)
        return dict(sorted(voices.items(), key=lambda item: (item[0].block.number, item[0].log_index)))

    def _matters(self, transfer: Transfer, frm: int, to: int) -> bool:
        return transfer.token == self._token and transfer.sender in self._senders and frm <= transfer.block.number <= to
