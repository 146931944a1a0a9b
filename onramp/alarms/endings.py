"""End alarms without their cause's code: rows that show that it is over, time, and processes that are gone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms import service as alarms_service
from kit.alarms.model import Alarm
from kit.alarms.table import alarms
from kit.heartbeats import service as heartbeats_service
from onramp.alarms.catalog import ALARMS
from onramp.sessions.status import DeliveryStatus
from onramp.sessions.table import sessions
from treasury import alarm_endings

_IS_LATE: Final = sa.and_(
    sessions.c.overdue, sessions.c.delivery_status.in_((DeliveryStatus.AWAITING, DeliveryStatus.SEEN))
)
_DELIVERED: Final = sa.and_(
    alarms.c.name == "delivery.overdue", sa.exists().where(sessions.c.id == alarms.c.subject, sa.not_(_IS_LATE))
)


async def end_what_is_over(conn: AsyncConnection, active: Sequence[Alarm], now: datetime) -> list[Alarm]:
    """End those of the `active` alarms that are over, and return them."""
    alive = await heartbeats_service.alive_processes(conn, alarms_service.PROCESS_GONE_SECONDS)
    old = alarms.c.raised_at <= now - alarm_endings.MIN_AGE
    return [
        *await alarm_endings.end_by_rows(conn, now),
        *await alarms_service.end(conn, sa.and_(old, _DELIVERED), now),
        *await alarms_service.end_expired(conn, ALARMS, active, now),
        *await alarms_service.end_of_processes(conn, active, alive, now),
    ]
