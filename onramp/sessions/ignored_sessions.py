"""Sessions at Stripe that do not belong to this deployment: each is counted once for each reason while it is remembered, however often it is listed."""

from collections import OrderedDict
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from kit.logs import get_logger
from onramp.sessions.ownership import Ignored
from onramp.stripe.port import METADATA_DEPLOYMENT, METADATA_SESSION, StripeSession

log = get_logger(__name__)
MAX_REMEMBERED: Final = 50_000
"""How many sessions are remembered. The one listed longest ago is forgotten first; if it is listed again, it is counted again."""
_CLAIMS_TO_BE_OURS: Final = frozenset({Ignored.CURRENCY, Ignored.AMOUNT, Ignored.MALFORMED, Ignored.CONTRADICTED})
"""The reasons to ignore a session although its metadata names this deployment: an operator should look into it."""


class IgnoredSessions:
    """Remembers which sessions of the Stripe account were ignored, and why."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reasons: OrderedDict[str, Ignored] = OrderedDict()
        self._count = Counter(
            "onramp_sessions_ignored_total",
            "Sessions at Stripe that were neither rebuilt nor paid, as this deployment did not sell them.",
            ("reason",),
            registry=registry,
        )
        for reason in Ignored:
            self._count.labels(reason.value)
        self.unknown = Gauge(
            "onramp_unknown_purchases",
            "Completed purchases at Stripe that may be this deployment's and are not in its database.",
            registry=registry,
        )

    def note(self, fact: StripeSession, reason: Ignored) -> None:
        """Count a session, and log it if its metadata carries a session id of this product, unless it is remembered with the same reason."""
        previous = self._reasons.pop(fact.id, None)
        self._reasons[fact.id] = reason
        if previous is reason:
            return
        if len(self._reasons) > MAX_REMEMBERED:
            self._reasons.popitem(last=False)
        self._count.labels(reason.value).inc()
        metadata = fact.metadata or {}
        claims = {
            "session": metadata.get(METADATA_SESSION, "")[:40],
            "deployment": metadata.get(METADATA_DEPLOYMENT, "")[:40],
        }
        if reason in _CLAIMS_TO_BE_OURS:
            log.error("session.ignored", stripe_session=fact.id, reason=reason.value, status=fact.status, **claims)
        elif reason is not Ignored.NOT_ONRAMP:
            log.warning("session.ignored", stripe_session=fact.id, reason=reason.value, status=fact.status, **claims)

    def reason(self, stripe_session_id: str) -> Ignored | None:
        """Return why this session was ignored; None if it was not, or is no longer remembered."""
        return self._reasons.get(stripe_session_id)
