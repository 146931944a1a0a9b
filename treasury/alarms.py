"""The treasury's alarms: they are those of `kit.alarms`, and count in the metric `treasury_alarms_total`, too.

To add one, call `context.alarms.raise_alarm(kind, subject, **facts)`, or `raise_in` in the transaction of a change, and add `treasury.<kind>` to
`onramp/alarms/treasury_alarms.py`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms.alarms import LocalAlarms
from treasury.metrics import TreasuryMetrics


@dataclass(slots=True)
class Alarms:
    """Raises, counts and clears alarms by the part of their name that follows `treasury.`."""

    metrics: TreasuryMetrics
    shared: LocalAlarms = field(default_factory=LocalAlarms)
    """The alarms of the service; by default alarms are only logged."""

    def raise_alarm(self, kind: str, subject: str, /, **facts: Any) -> None:
        """Raise an alarm about `subject`, unless it is raised already."""
        if self.shared.raise_alarm(f"treasury.{kind}", subject, **facts):
            self.metrics.alarm(kind)

    async def raise_in(self, conn: AsyncConnection, kind: str, subject: str, at: datetime, /, **facts: Any) -> None:
        """Raise an alarm in the transaction of the change that it reports, so that a crash cannot lose it."""
        if await self.shared.raise_in(conn, f"treasury.{kind}", subject, at, **facts):
            self.metrics.alarm(kind)

    def clear(self, kind: str, subject: str) -> None:
        """End an alarm about `subject`; it is logged and counted again if it comes back."""
        self.shared.clear(f"treasury.{kind}", subject)
