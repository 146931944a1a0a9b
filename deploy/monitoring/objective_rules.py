"""What an alert rule is, and the rules of the service level objectives: their error budget is used up too fast."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from onramp.ops.objectives import (
    API,
    DELIVERY,
    DELIVERY_SECONDS,
    EVENT_SECONDS,
    EVENTS,
    WEBHOOKS,
    Objective,
)

RUNBOOK: Final = "docs/runbook.md"
PAGE, TICKET = "page", "ticket"
WINDOWS: Final = ("5m", "30m", "1h", "6h", "3d")
BURNS: Final = (
    ("Fast", "1h", "5m", "14.4", PAGE),
    ("Steady", "6h", "30m", "6", PAGE),
    ("Slow", "3d", "6h", "1", TICKET),
)
"""Pairs of windows after Google's SRE workbook, chapter *Alerting on SLOs*: name, long window, short window, how many times too fast, severity."""
FEWEST: Final = 10
"""The fewest events in the long window for which a ratio pages: with fewer, one slow purchase would be an outage."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert: `summary` says what happened, `action` what to do, `anchor` names the section of the runbook."""

    alert: str
    expr: str
    summary: str
    action: str
    severity: str = PAGE
    wait: str = "0m"
    """For how long the expression must hold before the alert fires."""
    anchor: str = "alarms"

    def yaml(self) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        return {
            "alert": self.alert,
            "expr": self.expr,
            "for": self.wait,
            "labels": {"severity": str(self.severity)},
            "annotations": {"summary": self.summary, "action": self.action, "runbook": f"{RUNBOOK}#{self.anchor}"},
        }


_REQUESTS: Final = "onramp_http_requests_total"
_API: Final = 'route=~"/api/v1/.*",route!~".*/events"'
_STRIPE: Final = 'route="/api/v1/webhooks/stripe"'


def _errors(labels: str) -> tuple[str, str]:
    """Return the expressions of failed and of all requests with these labels, in a window, written as WINDOW."""
    return (
        f'(sum(increase({_REQUESTS}{{{labels},status=~"5.."}}[WINDOW])) or vector(0))',
        f"sum(increase({_REQUESTS}{{{labels}}}[WINDOW]))",
    )


def _late(histogram: str, limit: float) -> tuple[str, str]:
    """Return the expressions of observations above `limit`, which is a bucket of the histogram, and of all."""
    total = f"sum(increase({histogram}_count[WINDOW]))"
    return f'({total} - sum(increase({histogram}_bucket{{le="{limit}"}}[WINDOW])))', total


EVENTS_OF: Final = {
    API.slo: _errors(_API),
    WEBHOOKS.slo: _errors(_STRIPE),
    DELIVERY.slo: _late("onramp_delivery_duration_seconds", DELIVERY_SECONDS),
    EVENTS.slo: _late("onramp_webhook_event_age_seconds", EVENT_SECONDS),
}
"""For each objective the expressions of bad and of all events. A delivery counts once it is confirmed; `OnrampBuyersWait` watches the others."""
ANCHORS: Final = {
    API.slo: "what-ready-means",
    WEBHOOKS.slo: "what-ready-means",
    DELIVERY.slo: "a-purchase-is-overdue",
    EVENTS.slo: "a-webhook-never-came",
}


def ratio_name(objective: Objective, window: str) -> str:
    """Return the name of the recorded share of bad events in a window."""
    return f"onramp:{objective.slo}:bad:ratio{window}"


def recorded(objective: Objective) -> Iterator[dict[str, str]]:
    """Yield the recording rules of an objective: the share of bad events in each window; no sample without events."""
    for window in WINDOWS:
        bad, total = (text.replace("WINDOW", window) for text in EVENTS_OF[objective.slo])
        yield {"record": ratio_name(objective, window), "expr": f"{bad} / ({total} > 0)"}


def burn_rates(objective: Objective) -> Iterator[Rule]:
    """Yield the alerts of an objective: its error budget is being used up too fast, over a long and over a short window."""
    for name, long, short, factor, severity in BURNS:
        limit = f"{factor} * {objective.budget:g}"
        yield Rule(
            f"Onramp{objective.slo.title()}Budget{name}",
            f"{ratio_name(objective, long)} > {limit} and {ratio_name(objective, short)} > {limit} "
            f"and {EVENTS_OF[objective.slo][1].replace('WINDOW', long)} >= {FEWEST}",
            f"{{{{ $value | humanizePercentage }}}} of events in {long} were bad. The objective: {objective.sentence}",
            f"`onramp doctor`, then the panels of the objective `{objective.slo}` on the dashboard Purchases.",
            severity,
            anchor=ANCHORS[objective.slo],
        )
