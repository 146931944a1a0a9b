"""Send signed transactions to every node. A node's reply proves nothing: only receipts do."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

from chain.errors import AlreadyKnown, Lockdown, NodeError, NodeTimeout, NonceTooHigh, NonceTooLow, Unknown, Unreachable
from chain.node.node import Node
from chain.pool.pool import NodeReply, Pool
from chain.pool.quorum import GRACE
from chain.types import keccak, to_hex


@dataclass(frozen=True, slots=True)
class BroadcastResult:
    """The nodes that accepted a transaction, those that already had it, and the others by type of error; all by node name.

    `details` are the errors as text for people.
    """

    tx_hash: str
    accepted_by: tuple[str, ...]
    already_known_by: tuple[str, ...]
    errors: Mapping[type[NodeError], tuple[str, ...]]
    details: tuple[str, ...]

    @property
    def known(self) -> bool:
        """Whether at least one node has the transaction now."""
        return bool(self.accepted_by or self.already_known_by)


async def broadcast(pool: Pool, raw: bytes, *, in_order: bool = False) -> BroadcastResult:
    """Send one transaction to every node. Never raises for what a node does; repeating it does no harm.

    Use `in_order` if several nonces are in flight: the transaction goes to one node first, and to the others once that node has it.
    Mezo's nodes accept only the next nonce (`invalid nonce; got 5, expected 4`) and receive each other's transactions in any order; the
    node that is always asked first has them in order. A reply with a hash that is not the transaction's counts as an error.
    """
    tx_hash = to_hex(keccak(raw))

    def accepted(reply: NodeReply) -> bool:
        return isinstance(_refusal(reply, tx_hash), AlreadyKnown | None)

    replies = await pool.broadcast(
        "eth_sendRawTransaction", [to_hex(raw)], until=accepted if in_order else None, patience=GRACE
    )
    result = _result(tx_hash, replies)
    _note_lockdown(pool, result)
    return result


async def broadcast_in_order(pool: Pool, raws: Sequence[bytes]) -> list[BroadcastResult]:
    """Send one wallet's transactions, lowest nonce first: all of them to one node, then to the other nodes in the same order.

    Mezo's nodes accept only the next nonce and receive each other's transactions in any order, so the node that is always asked first has
    them in order. Each node gets two requests: the lowest nonce, then all others in one batch. The other nodes are fed concurrently, and a
    node that does not answer gets no more. If no node accepts the lowest nonce, the following ones are not sent, unless a node reports that
    this nonce was already used.
    """
    hashes = [to_hex(keccak(raw)) for raw in raws]
    calls: list[tuple[str, list[Any]]] = [("eth_sendRawTransaction", [to_hex(raw)]) for raw in raws]
    replies: list[dict[str, NodeReply]] = [{} for _ in raws]

    async def feed(node: Node) -> bool:
        place = 0
        for size in chain((1, len(raws)), repeat(1)):
            if place == len(raws):
                return True
            for outcome in await node.call_many(calls[place : place + size]):
                failed = isinstance(outcome, NodeError)
                reply = NodeReply(node.name, None if failed else outcome, outcome if failed else None)
                replies[place][node.name] = reply
                if size > 1 and isinstance(outcome, NonceTooHigh):
                    # A server may execute a batch in any order: what came too early is sent again, one by one.
                    break
                silent = isinstance(outcome, Unreachable | NodeTimeout)
                if silent or not any(_passes(each, hashes[place]) for each in replies[place].values()):
                    return False
                place += 1
        return True

    nodes = sorted(pool.nodes, key=lambda node: not node.usable)
    complete = False
    while nodes and not complete:
        complete = await feed(nodes.pop(0))
    await asyncio.gather(*(feed(node) for node in nodes))
    results = [_result(tx_hash, by_node.values()) for tx_hash, by_node in zip(hashes, replies, strict=True)]
    _note_lockdown(pool, results[0])
    return results


def _note_lockdown(pool: Pool, lowest: BroadcastResult) -> None:
    """Record whether the lowest nonce met a lockdown: enough providers report one and no node accepted it."""
    refused = {node.provider for node in pool.nodes if node.name in lowest.errors.get(Lockdown, ())}
    if lowest.known or len(refused) >= pool.agreement:
        pool.halt.record_broadcast(lockdown=not lowest.known)


def _passes(reply: NodeReply, tx_hash: str) -> bool:
    """Return whether the next nonce may be sent after this reply."""
    return isinstance(_refusal(reply, tx_hash), AlreadyKnown | NonceTooLow | None)


def _result(tx_hash: str, replies: Iterable[NodeReply]) -> BroadcastResult:
    accepted: list[str] = []
    known: list[str] = []
    errors: dict[type[NodeError], list[str]] = {}
    details: list[str] = []
    for reply in replies:
        error = _refusal(reply, tx_hash)
        if error is None:
            accepted.append(reply.node)
        elif isinstance(error, AlreadyKnown):
            known.append(reply.node)
        else:
            errors.setdefault(type(error), []).append(reply.node)
            details.append(str(error))
    return BroadcastResult(
        tx_hash, tuple(accepted), tuple(known), {kind: tuple(names) for kind, names in errors.items()}, tuple(details)
    )


def _refusal(reply: NodeReply, tx_hash: str) -> NodeError | None:
    if reply.error is not None:
        return reply.error
    if isinstance(reply.result, str) and reply.result.lower() == tx_hash:
        return None
    return Unknown(reply.node, "accepted the transaction and returned another hash for it")
