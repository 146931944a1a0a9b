"""Sending signed bytes to every node. What a node says about it is never proof: only receipts are."""

from collections.abc import Mapping
from dataclasses import dataclass

from chain.errors import AlreadyKnown, NodeError, Unknown
from chain.pool import Pool
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

    def says(self, kind: type[NodeError]) -> bool:
        """At least one node answered with this kind of error."""
        return any(issubclass(said, kind) for said in self.errors)


async def broadcast(pool: Pool, raw: bytes) -> BroadcastResult:
    """Send the same bytes to every node at once. Never raises for what a node does; may be repeated without harm.

    A node that answers with another hash than the bytes have is counted as an error: it did something else, or lies.
    """
    tx_hash = to_hex(keccak(raw))
    accepted: list[str] = []
    known: list[str] = []
    errors: dict[type[NodeError], list[str]] = {}
    details: list[str] = []
    for answer in await pool.everywhere("eth_sendRawTransaction", [to_hex(raw)]):
        error = answer.error
        if error is None:
            if isinstance(answer.result, str) and answer.result.lower() == tx_hash:
                accepted.append(answer.node)
                continue
            error = Unknown(answer.node, "took the transaction and named another hash for it")
        if isinstance(error, AlreadyKnown):
            known.append(answer.node)
            continue
        errors.setdefault(type(error), []).append(answer.node)
        details.append(str(error))
    return BroadcastResult(
        tx_hash, tuple(accepted), tuple(known), {kind: tuple(names) for kind, names in errors.items()}, tuple(details)
    )
