"""The states of a delivery, the moves the chain's answer allows, and which transfer is whose."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final, NamedTuple

from onramp.sessions.model import BASIS_POINTS

MOVES: Final[dict[str, frozenset[str]]] = {
    "seen": frozenset({"awaiting", "confirmed", "mismatch"}),
    "confirmed": frozenset({"awaiting", "seen", "mismatch"}),
    "mismatch": frozenset({"awaiting", "seen"}),
    "awaiting": frozenset({"seen"}),
}
"""New state -> the states it may follow. `confirmed` goes back to `seen` only when the chain itself took the block back; `seen` goes
back to `awaiting` when the transaction is gone; a `mismatch` is left when the transfer that was owed is proved after all."""


# Named tuples, as some hundred of each are made for every block.
class Arrived(NamedTuple):
    """A transfer that no session has claimed; units of the token."""

    id: str
    recipient: str
    units: int
    sender: str
    tx_hash: str
    log_index: int
    block_number: int
    block_hash: str


class Owed(NamedTuple):
    """A paid session that no transfer has reached; `units` are owed, for blocks above `from_block` only."""

    id: str
    version: int
    wallet: str
    units: int
    from_block: int
    paid_at: datetime
    observes: bool
    """Somebody else delivers; where not, the service itself pays, and no transfer but that one counts."""


class Match(NamedTuple):
    """This transfer belongs to this session."""

    owed: Owed
    arrived: Arrived


def fits(owed: int, units: int, tolerance_bps: int) -> bool:
    """These units are what is owed, give or take the tolerance."""
    return abs(units - owed) <= owed * tolerance_bps // BASIS_POINTS


def match(owed: Iterable[Owed], arrived: Iterable[Arrived], tolerance_bps: int) -> list[Match]:
    """Which transfer is whose, each of them once: the first paid chooses first.

    A transfer of the right amount before all others; else the oldest, unless that is what another session of the wallet waits for.
    """
    of_wallet: dict[str, list[Owed]] = {}
    for session in owed:
        of_wallet.setdefault(session.wallet, []).append(session)
    received: dict[str, list[Arrived]] = {}
    for transfer in arrived:
        received.setdefault(transfer.recipient, []).append(transfer)
    found: list[Match] = []
    for wallet, free in received.items():
        waiting = sorted(of_wallet.get(wallet, []), key=attrgetter("paid_at", "id"))
        free.sort(key=attrgetter("block_number", "log_index"))
        for session in [one for one in waiting if one.observes]:
            chosen = _choose(session, waiting, free, tolerance_bps)
            if chosen is not None:
                found.append(Match(session, chosen))
                free.remove(chosen)
                waiting.remove(session)
    return found


def _choose(session: Owed, waiting: Sequence[Owed], free: Sequence[Arrived], tolerance_bps: int) -> Arrived | None:
    since = [one for one in free if one.block_number > session.from_block]
    for one in since:
        if fits(session.units, one.units, tolerance_bps):
            return one
    if not since:
        return None
    oldest = since[0]
    others = any(fits(one.units, oldest.units, tolerance_bps) for one in waiting if one is not session)
    return None if others else oldest
