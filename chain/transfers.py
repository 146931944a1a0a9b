"""All transfers from the addresses that matter, read once a block for every session together.

The filter names the senders, not the buyers, so its cost does not know how many buyers wait; and it shows transfers
that no row of ours explains.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from chain.erc20 import TRANSFER_TOPIC, decode_transfer_log, topic_of
from chain.errors import NoAgreement, NodeError
from chain.logs import read_logs
from chain.pool import Pool
from chain.types import Address, Transfer, to_checksum

SLOWEST = 1.0
"""Seconds that the union waits for one more node once as many have answered as must agree."""


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
        with some overlap, and now and then `everyone`: the union of all nodes that cover the range. Raises NodeError,
        NoAgreement.
        """
        if not self._senders or frm > to:
            return []
        return self._keep(await (self._union(frm, to) if everyone else self._first(frm, to)), frm, to)

    async def _first(self, frm: int, to: int) -> list[Mapping[str, Any]]:
        async def call(method: str, params: list[Any]) -> Any:
            return await self._pool.any(method, params, reached=to)

        return await read_logs(call, self._token, self._topics, frm, to)

    async def _union(self, frm: int, to: int) -> list[Mapping[str, Any]]:
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
        spoke = [task for task in asked if task not in pending and not isinstance(task.exception(), NodeError)]
        if not spoke:
            raise NoAgreement("silence", detail=f"eth_getLogs: no node has reached block {to}.")
        return [log for task in spoke for log in task.result()]

    def _keep(self, logs: list[Mapping[str, Any]], frm: int, to: int) -> list[Transfer]:
        """What really is a transfer of the token, from a sender, in the range, each once; a node may send anything."""
        unique: dict[tuple[str, int, str], Transfer] = {}
        for log in logs:
            transfer = decode_transfer_log(log)
            if transfer is None or transfer.token != self._token or transfer.sender not in self._senders:
                continue
            if frm <= transfer.block.number <= to:
                unique.setdefault((transfer.tx_hash, transfer.log_index, transfer.block.hash), transfer)
        return sorted(unique.values(), key=lambda transfer: (transfer.block.number, transfer.log_index))
