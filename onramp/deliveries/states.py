"""The state machine of a delivery, and the assignment of transfers to sessions."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final, NamedTuple

from kit.state import Decision, Moved, Refused, Same
from onramp.sessions.model import BASIS_POINTS
from onramp.sessions.status import DeliveryStatus

PREDECESSORS: Final[dict[DeliveryStatus, frozenset[DeliveryStatus]]] = {
    DeliveryStatus.AWAITING: frozenset({DeliveryStatus.SEEN}),
    DeliveryStatus.SEEN: frozenset({DeliveryStatus.AWAITING, DeliveryStatus.CONFIRMED, DeliveryStatus.MISMATCH}),
    DeliveryStatus.CONFIRMED: frozenset({DeliveryStatus.AWAITING, DeliveryStatus.SEEN, DeliveryStatus.MISMATCH}),
    DeliveryStatus.MISMATCH: frozenset({DeliveryStatus.AWAITING, DeliveryStatus.SEEN}),
}
"""The statuses that each new status may follow.

`confirmed` goes back to `seen` only if the chain replaced the block; `seen` goes back to `awaiting` if the transaction is gone; a
`mismatch` ends if the transfer that was owed is proved after all.
"""


def move(status: DeliveryStatus, target: DeliveryStatus) -> Decision[DeliveryStatus]:
    """Return what happens to a delivery in `status` when the chain shows that it is `target`."""
    if status is target:
        return Same(target)
    if status in PREDECESSORS[target]:
        return Moved(target)
    return Refused(f"a delivery that is {status} cannot become {target}")


# Named tuples, because some hundreds of each are made for every block.
class Arrived(NamedTuple):
    """A transfer on chain that no session has claimed; `units` in base units of the token."""

    id: str
    recipient: str
    units: int
    sender: str
    tx_hash: str
    log_index: int
    block_number: int
    block_hash: str


class Owed(NamedTuple):
    """A paid session that still waits for its transfer of `expected_units`, in a block above `from_block`."""

    id: str
    version: int
    wallet: str
    expected_units: int
    from_block: int
    paid_at: datetime
    observes: bool
    """Whether another party delivers. If not, this service pays by itself, and only its own payout's transfer counts."""


class Match(NamedTuple):
    """A transfer and the session that it belongs to."""

    owed: Owed
    arrived: Arrived


def fits(expected_units: int, units: int, tolerance_bps: int) -> bool:
    """Return whether `units` equal `expected_units` within the tolerance, in basis points of `expected_units`."""
    return abs(units - expected_units) <= expected_units * tolerance_bps // BASIS_POINTS


def match(owed: Iterable[Owed], arrived: Iterable[Arrived], tolerance_bps: int) -> list[Match]:
    """Assign transfers to sessions, each at most once; sessions paid earlier choose first.

    A session takes the oldest transfer of the right amount. If no transfer has it, the session takes the oldest of any amount, unless
    another session of the same wallet expects exactly that one.
    """
    owed_by_wallet: dict[str, list[Owed]] = {}
    for session in owed:
        owed_by_wallet.setdefault(session.wallet, []).append(session)
    arrived_by_wallet: dict[str, list[Arrived]] = {}
    for transfer in arrived:
        arrived_by_wallet.setdefault(transfer.recipient, []).append(transfer)
    matches: list[Match] = []
    for wallet, unclaimed in arrived_by_wallet.items():
        waiting = sorted(owed_by_wallet.get(wallet, []), key=attrgetter("paid_at", "id"))
        unclaimed.sort(key=attrgetter("block_number", "log_index"))
        for session in [candidate for candidate in waiting if candidate.observes]:
            transfer_for_session = _choose(session, waiting, unclaimed, tolerance_bps)
            if transfer_for_session is not None:
                matches.append(Match(session, transfer_for_session))
                unclaimed.remove(transfer_for_session)
                waiting.remove(session)
    return matches


def _choose(session: Owed, waiting: Sequence[Owed], unclaimed: Sequence[Arrived], tolerance_bps: int) -> Arrived | None:
    candidates = [transfer for transfer in unclaimed if transfer.block_number > session.from_block]
    for transfer in candidates:
        if fits(session.expected_units, transfer.units, tolerance_bps):
            return transfer
    if not candidates:
        return None
    oldest = candidates[0]
    is_expected_elsewhere = any(
        fits(other.expected_units, oldest.units, tolerance_bps) for other in waiting if other is not session
    )
    return None if is_expected_elsewhere else oldest
