"""Sending signed bytes to every node. What a node says about it is never proof: only receipts are."""

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
    """Who took the bytes, who had them already, and who said what else (node names by kind of error)."""

    tx_hash: str
    accepted_by: tuple[str, ...]
    already_known_by: tuple[str, ...]
    errors: Mapping[type[NodeError], tuple[str, ...]]
    details: tuple[str, ...]

    @property
    def known(self) -> bool:
        """At least one node holds the bytes now."""
        return bool(self.accepted_by or self.already_known_by)


async def broadcast(pool: Pool, raw: bytes, *, in_order: bool = False) -> BroadcastResult:
    """Send the same bytes to every node. Never raises for what a node does; may be repeated without harm.

    `in_order`, for one of several nonces under way: to one node first, to the others once it has the bytes. A node of Mezo
    takes no nonce but the next one (`invalid nonce; got 5, expected 4`), and nodes hear of each other's transactions in any
    order; the one that is asked first each time has them in theirs. A node that answers with another hash than the bytes
    have is counted as an error: it did something else, or lies.
    """
    tx_hash = to_hex(keccak(raw))

    def took(answer: NodeReply) -> bool:
        return isinstance(_refusal(answer, tx_hash), AlreadyKnown | None)

    answers = await pool.broadcast(
        "eth_sendRawTransaction", [to_hex(raw)], until=took if in_order else None, patience=GRACE
    )
    result = _result(tx_hash, answers)
    _note_lockdown(pool, result)
    return result


async def broadcast_in_order(pool: Pool, raws: Sequence[bytes]) -> list[BroadcastResult]:
    """Send one wallet's transactions, lowest nonce first: all of them to one node, then to each other node in the same order.

    For the reason given at `broadcast`, in two requests to each node: the lowest nonce, then all others in one batch. The other nodes
    are fed side by side, and one that does not answer is left out for the rest. A lowest one that no node took holds back what
    follows, unless a node says that its nonce has passed.
    """
    hashes = [to_hex(keccak(raw)) for raw in raws]
    calls: list[tuple[str, list[Any]]] = [("eth_sendRawTransaction", [to_hex(raw)]) for raw in raws]
    told: list[dict[str, NodeReply]] = [{} for _ in raws]

    async def feed(node: Node) -> bool:
        place = 0
        for size in chain((1, len(raws)), repeat(1)):
            if place == len(raws):
                return True
            for said in await node.call_many(calls[place : place + size]):
                failed = isinstance(said, NodeError)
                told[place][node.name] = NodeReply(node.name, None if failed else said, said if failed else None)
                if size > 1 and isinstance(said, NonceTooHigh):
                    # A server may take up a batch in any order: what came too early goes again, one by one.
                    break
                silent = isinstance(said, Unreachable | NodeTimeout)
                if silent or not any(_passes(one, hashes[place]) for one in told[place].values()):
                    return False
                place += 1
        return True

    others = sorted(pool.nodes, key=lambda node: not node.usable)
    led = False
    while others and not led:
        led = await feed(others.pop(0))
    await asyncio.gather(*(feed(node) for node in others))
    results = [_result(tx_hash, answers.values()) for tx_hash, answers in zip(hashes, told, strict=True)]
    _note_lockdown(pool, results[0])
    return results


def _note_lockdown(pool: Pool, lowest: BroadcastResult) -> None:
    """Take note of what the lowest nonce met: a lockdown, where enough providers say so and nobody took it."""
    refused = {node.provider for node in pool.nodes if node.name in lowest.errors.get(Lockdown, ())}
    if lowest.known or len(refused) >= pool.agreement:
        pool.halt.record_broadcast(lockdown=not lowest.known)


def _passes(answer: NodeReply, tx_hash: str) -> bool:
    """Whether the next nonce may follow, by what this node said."""
    return isinstance(_refusal(answer, tx_hash), AlreadyKnown | NonceTooLow | None)


def _result(tx_hash: str, answers: Iterable[NodeReply]) -> BroadcastResult:
    accepted: list[str] = []
    known: list[str] = []
    errors: dict[type[NodeError], list[str]] = {}
    details: list[str] = []
    for answer in answers:
        error = _refusal(answer, tx_hash)
        if error is None:
            accepted.append(answer.node)
        elif isinstance(error, AlreadyKnown):
            known.append(answer.node)
        else:
            errors.setdefault(type(error), []).append(answer.node)
            details.append(str(error))
    return BroadcastResult(
        tx_hash, tuple(accepted), tuple(known), {kind: tuple(names) for kind, names in errors.items()}, tuple(details)
    )


def _refusal(answer: NodeReply, tx_hash: str) -> NodeError | None:
    if answer.error is not None:
        return answer.error
    if isinstance(answer.result, str) and answer.result.lower() == tx_hash:
        return None
    return Unknown(answer.node, "took the transaction and named another hash for it")
