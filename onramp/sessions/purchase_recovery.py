"""Find the purchases behind payments on chain that this database does not know, as after a restore, and store them again."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from kit.clock import Clock
from kit.http.problems import Problem
from kit.logs import get_logger
from onramp.deployment.service import OwnDeployment
from onramp.sessions.ownership import is_session_id
from onramp.sessions.payment_proof import debt_of
from onramp.sessions.refresh import Refresher
from onramp.stripe.port import METADATA_SESSION, StripeGateway, StripeSession
from treasury.payouts import service as payouts_service
from treasury.ports import Sold

log = get_logger(__name__)
HORIZON: Final = timedelta(days=90)
"""How old a purchase may be that is looked for, as in the poller's longest walk."""
SLACK: Final = timedelta(hours=1)
"""How far Stripe's clock may be from the one that dated the deployment."""
ASK_SECONDS: Final = 5.0
"""No further page is asked for after so long in one call: the caller has a lease to renew."""


@dataclass(slots=True)
class _Walk:
    """One pass over the completed sessions, newest first: `since` in Unix seconds, `after` the cursor of the next page."""

    wanted: set[str]
    since: int
    after: str | None = None


@dataclass(slots=True)
class PurchaseRecovery:
    """Implements `treasury.ports.Purchases`.

    A walk goes on where the last call left it. References that come up meanwhile wait for the next walk, so that nobody can keep one
    from ending by making more transactions. `paid` is called when a purchase was stored.
    """

    stripe: StripeGateway
    refresher: Refresher
    deployment: OwnDeployment
    clock: Clock
    paid: Callable[[], None]
    _walk: _Walk | None = None
    _told: dict[str, Sold | None] = field(default_factory=dict)

    async def find(self, references: Collection[str]) -> Mapping[str, Sold | None]:
        """Return what is known of each reference; only sessions that carry one of them are applied, the others are left to the poller."""
        self._told = {one: sold for one, sold in self._told.items() if one in references}
        if self._walk is not None and self._walk.wanted.isdisjoint(references):
            self._walk = None
        started = self.clock.monotonic()
        while self.clock.monotonic() - started < ASK_SECONDS:
            if self._walk is None:
                fresh = set(references) - self._told.keys()
                if not fresh:
                    break
                self._walk = _Walk(fresh, await self._since())
            try:
                await self._look(self._walk)
            except Problem as error:
                log.warning("session.lost_not_told", code=error.code, wanted=len(self._walk.wanted))
                break
        return dict(self._told)

    async def _look(self, walk: _Walk) -> None:
        """Look through one page."""
        page = await self.stripe.list_completed(created_gte=walk.since, starting_after=walk.after)
        for fact in page.sessions:
            session_id = (fact.metadata or {}).get(METADATA_SESSION, "")
            reference = payouts_service.reference_text(session_id) if is_session_id(session_id) else ""
            if reference not in walk.wanted:
                continue
            sold = await self._take_over(fact, session_id)
            self._told[reference] = sold
            if sold.objection is None:
                walk.wanted.discard(reference)
        walk.after = page.after
        if page.after is None or not walk.wanted:
            for reference in walk.wanted:
                self._told.setdefault(reference, None)
            self._walk = None

    async def _take_over(self, fact: StripeSession, session_id: str) -> Sold:
        applied = await self.refresher.apply_fact(fact)
        if applied is None:
            reason = self.refresher.ignored.reason(fact.id)
            return Sold(session_id, debt_of(fact), f"ignored as {reason}")
        if applied.changed:
            self.paid()
        return Sold(session_id, debt_of(fact), None)

    async def _since(self) -> int:
        deployment = await self.deployment.get()
        since = self.clock.now() - HORIZON
        if deployment.unmarked_until is None:
            since = max(since, deployment.created_at - SLACK)
        return int(since.timestamp())
