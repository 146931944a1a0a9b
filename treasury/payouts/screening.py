"""Release payouts that were held because their recipient was on the sanctions list, once it no longer is."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from kit.db.database import Database
from treasury.payouts import service as payouts_service


class SanctionsList(Protocol):
    """The sanctions list. `address in listing` is true if this address must not be paid, by the latest result of `ask`."""

    def __contains__(self, address: object, /) -> bool:
        """Return whether the address is on the sanctions list, by the latest result of `ask`."""

    async def ask(self, addresses: Collection[str], *, refresh: bool = False) -> Collection[str]:
        """Screen addresses over the network (`refresh` ignores cached answers); return those that cannot be screened at present."""


async def release_delisted(database: Database, listing: SanctionsList, now: datetime) -> int:
    """Let payouts queue again whose recipient is no longer on the sanctions list; return how many.

    Nothing is released while any recipient cannot be screened: an address that the oracle listed stays listed until the oracle says
    otherwise.
    """
    async with database.read() as conn:
        held = await payouts_service.held_for_screening(conn)
    recipients = [payout.to for payout in held]
    if not recipients or await listing.ask(recipients, refresh=True):
        return 0
    if all(recipient in listing for recipient in recipients):
        return 0
    async with database.write() as conn:
        return await payouts_service.release_delisted(conn, listing, now=now)
