"""Alarms about API keys: each new secret of an operator's, approver's or admin's key, and each that works unconfirmed.

One person with an admin's key can make a key in another name, and it works after 24 h even if it was not confirmed. So every
such secret raises an alarm, however it was made: over HTTP, by an invitation, with the command line, or by a change in the
database.
"""

from typing import Final

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter

from kit.alarms import service as alarms_service
from kit.clock import Clock, rfc3339
from kit.db.database import Database
from onramp.auth.api_keys.service import MOVES_MONEY
from onramp.auth.api_keys.table import api_key_secrets, api_keys

ROLES: Final = (*sorted(MOVES_MONEY), "admin")
DEVELOPMENT: Final = "dev"
"""The author of the keys that `onramp dev` prints; these raise no alarm."""


def counter(registry: CollectorRegistry) -> Counter:
    """Declare the metric, with both labels at 0."""
    count = Counter(
        "onramp_key_alarms",
        "New secrets of operators', approvers' and admins' keys, and those that work unconfirmed.",
        ("alarm",),
        registry=registry,
    )
    for alarm in ("made", "unconfirmed"):
        count.labels(alarm)
    return count


class KeyAlarms:
    """Raises an alarm for each new secret, and another one if the secret begins to work without a confirmation."""

    def __init__(self, database: Database, clock: Clock, count: Counter) -> None:
        """Store the parts; `count` is the metric that `counter` declares."""
        self._database = database
        self._clock = clock
        self._count = count

    async def step(self) -> None:
        """Raise the alarms that are due. Each is marked in the transaction that raises it."""
        c, now = api_key_secrets.c, self._clock.now()
        made = c.made_alarm_at.is_(None)
        works = sa.and_(api_keys.c.revoked_at.is_(None), sa.or_(c.expires_at.is_(None), c.expires_at > now))
        waited = sa.and_(c.active_from > c.created_at, c.active_from <= now, c.confirmed_by.is_(None))
        unconfirmed = sa.and_(c.unconfirmed_alarm_at.is_(None), waited, works)
        query = (
            sa.select(
                c.id, c.made_by, c.makers, c.active_from, api_keys.c.id.label("key_id"), api_keys.c.role,
                api_keys.c.person, made.label("made"), unconfirmed.label("unconfirmed"),
            )
            .join(api_keys, api_keys.c.id == c.key_id)
            .where(
                sa.or_(made, unconfirmed), api_keys.c.role.in_(ROLES),
                sa.func.coalesce(c.made_by, "") != DEVELOPMENT,
            )
            .order_by(c.created_at)
        )  # fmt: skip
        async with self._database.read() as conn:
            if (await conn.execute(query.limit(1))).first() is None:
                return
        async with self._database.write() as conn:
            # On Postgres the rows are locked, so that only one of several processes raises the alarm.
            for row in (await conn.execute(query.with_for_update(of=api_key_secrets))).fetchall():
                facts = {
                    "role": row.role, "person": row.person, "made_by": row.made_by or "unknown",
                    "makers": row.makers, "active_from": rfc3339(row.active_from),
                }  # fmt: skip
                values = {}
                if row.made:
                    await alarms_service.raise_again_in(conn, "api_keys.money_key_made", row.key_id, now, **facts)
                    self._count.labels("made").inc()
                    values["made_alarm_at"] = now
                if row.unconfirmed:
                    await alarms_service.raise_again_in(
                        conn, "api_keys.unconfirmed_key_works", row.key_id, now, **facts
                    )
                    self._count.labels("unconfirmed").inc()
                    values["unconfirmed_alarm_at"] = now
                await conn.execute(sa.update(api_key_secrets).where(c.id == row.id).values(**values))
