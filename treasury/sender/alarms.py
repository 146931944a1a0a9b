"""The treasury's alarms: a critical log line and a metric for each, as the runbook lists them.

To add one, call `context.alarms.raise_alarm(kind, subject, **facts)` and explain `treasury.<kind>` in docs/runbook.md.
"""

from dataclasses import dataclass, field

from kit.logs import get_logger
from treasury.metrics import TreasuryMetrics

log = get_logger("treasury.sender")


@dataclass(slots=True)
class Alarms:
    """Logs and counts each alarm once, when it is raised, and not in every cycle until it is cleared."""

    metrics: TreasuryMetrics
    _raised: set[tuple[str, str]] = field(default_factory=set)

    def raise_alarm(self, kind: str, subject: str, **facts: object) -> None:
        """Raise an alarm about `subject`, unless it is raised already."""
        if (kind, subject) not in self._raised:
            self._raised.add((kind, subject))
            self.metrics.alarm(kind)
            log.critical(f"treasury.{kind}", subject=subject, **facts)

    def clear(self, kind: str, subject: str) -> None:
        """End an alarm about `subject`; it is logged and counted again if it comes back."""
        self._raised.discard((kind, subject))
