"""Recover the purchases behind payments on chain that this database does not know, as after a restore from a backup."""

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
"""The age of the oldest purchase that is searched for, as in the reconcile worker's longest listing."""
CLOCK_SLACK: Final = timedelta(hours=1)
"""How far Stripe's clock may differ from the one that dated the deployment."""
MAX_CALL_SECONDS: Final = 5.0
"""Seconds after which one call requests no further page: the caller has a lease to renew."""


@dataclass(slots=True)
class _Walk:
    """One pass over the completed sessions, newest first: `since` in Unix seconds, `after` the cursor of the next page."""

    references: set[str]
    since: int
    after: str | None = None


@dataclass(slots=True)
class PurchaseRecovery:
    """Finds purchases by their references in Stripe's listing of completed sessions. Implements `treasury.ports.Purchases`.

    A walk continues where the last call left it. References that are added meanwhile wait for the next walk, so that an attacker cannot
    keep a walk from ending by making more transactions. `paid` is called when a purchase was stored.
    """

    stripe: StripeGateway
    refresher: Refresher
    deployment: OwnDeployment
    clock: Clock
    paid: Callable[[], None]
    _walk: _Walk | None = None
    _results: dict[str, Sold | None] = field(default_factory=dict)

    async def find(self, references: Collection[str]) -> Mapping[str, Sold | None]:
        """Return the purchase of each reference as far as it is known: no entry while it is not, None if no completed session in the searched time has it.

        Only sessions that carry one of these references are applied; all others are left to the reconcile worker.
        """
        self._results = {reference: sold for reference, sold in self._results.items() if reference in references}
        if self._walk is not None and self._walk.references.isdisjoint(references):
            self._walk = None
        started = self.clock.monotonic()
        while self.clock.monotonic() - started < MAX_CALL_SECONDS:
            if self._walk is None:
                new_references = set(references) - self._results.keys()
                if not new_references:
                    break
                self._walk = _Walk(new_references, await self._since())
            try:
                await self._read_page(self._walk)
            except Problem as error:
                log.warning("session.recovery_unavailable", code=error.code, wanted=len(self._walk.references))
                break
        return dict(self._results)

    async def _read_page(self, walk: _Walk) -> None:
        page = await self.stripe.list_completed(created_gte=walk.since, starting_after=walk.after)
        for fact in page.sessions:
            session_id = (fact.metadata or {}).get(METADATA_SESSION, "")
            reference = payouts_service.reference_text(session_id) if is_session_id(session_id) else ""
            if reference not in walk.references:
                continue
            sold = await self._recover(fact, session_id)
            self._results[reference] = sold
            if sold.objection is None:
                walk.references.discard(reference)
        walk.after = page.after
        if page.after is None or not walk.references:
            for reference in walk.references:
                self._results.setdefault(reference, None)
            self._walk = None

    async def _recover(self, fact: StripeSession, session_id: str) -> Sold:
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
            since = max(since, deployment.created_at - CLOCK_SLACK)
        return int(since.timestamp())
