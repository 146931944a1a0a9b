"""Sessions at Stripe that are not this deployment's: counted and logged once each, however often the poller meets them."""

from collections import OrderedDict
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from kit.logs import get_logger
from onramp.sessions.ownership import Ignored
from onramp.stripe.port import METADATA_DEPLOYMENT, METADATA_SESSION, StripeSession

log = get_logger(__name__)
MAX_REMEMBERED: Final = 50_000
"""Sessions; the one seen longest ago is forgotten first, and would be counted again."""
_OURS: Final = frozenset({Ignored.CURRENCY, Ignored.AMOUNT, Ignored.MALFORMED, Ignored.CONTRADICTED})
"""Ignored although it claims to be ours: a person should look."""


class IgnoredSessions:
    """Remembers which sessions of the Stripe account were left alone, and why."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare the families, with every label at zero."""
        self._known: OrderedDict[str, Ignored] = OrderedDict()
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
        """Count and log a session, unless it was told of before with the same reason."""
        before = self._known.pop(fact.id, None)
        self._known[fact.id] = reason
        if before is reason:
            return
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        self._count.labels(reason.value).inc()
        metadata = fact.metadata or {}
        told = {
            "session": metadata.get(METADATA_SESSION, "")[:40],
            "deployment": metadata.get(METADATA_DEPLOYMENT, "")[:40],
        }
        if reason in _OURS:
            log.error("session.ignored", stripe_session=fact.id, reason=reason.value, status=fact.status, **told)
        elif reason is not Ignored.NOT_ONRAMP:
            log.warning("session.ignored", stripe_session=fact.id, reason=reason.value, status=fact.status, **told)

    def reason(self, stripe_session_id: str) -> Ignored | None:
        """Why this session was ignored, if it was."""
        return self._known.get(stripe_session_id)
