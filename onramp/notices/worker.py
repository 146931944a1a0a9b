"""The worker `notices`: end alarms that are over, plan notifications about alarms, and send them, each target by itself."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from kit.alarms import service as alarms_service
from kit.backoff import backoff
from kit.db.database import reason_of
from kit.http.outbound import OutboundClient
from kit.logs import get_logger
from kit.notices.targets import CHAT, Target
from kit.worker import WorkerContext
from onramp.alarms.endings import end_what_is_over
from onramp.notices import content, planner
from onramp.notices import service as notices_service
from onramp.notices.heartbeat import Heartbeat
from onramp.notices.model import Notice
from onramp.notices.senders import Failed, Senders

log = get_logger(__name__)
IDLE_SECONDS: Final = 1.0
BATCH: Final = 100
MAX_MESSAGES: Final = 5
"""How many messages a target that persons read gets within BURST; more become one digest."""
BURST: Final = timedelta(minutes=1)
GIVE_UP_AFTER: Final = timedelta(hours=24)
MAX_WAIT: Final = 600.0
"""The longest wait between two attempts, in seconds, unless the target asks for more."""
ATTEMPT_SECONDS: Final = 45.0
"""The most that one attempt may take, whatever the target's own limits are."""
ENDINGS_SECONDS: Final = 5.0


class NoticesWorker:
    """Plans and sends notifications. Several processes may run it: each row is claimed by one."""

    name = "notices"
    interval = IDLE_SECONDS

    def __init__(
        self,
        context: WorkerContext,
        targets: Sequence[Target],
        senders: Senders,
        http: OutboundClient,
        heartbeat: Heartbeat,
        runbook: str,
    ) -> None:
        self._database = context.database
        self._clock = context.clock
        self._owner = context.owner
        self._targets: Mapping[str, Target] = {target.name: target for target in targets}
        self._senders = senders
        self._http = http
        self._heartbeat = heartbeat
        self._runbook = runbook
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._end_at = float("-inf")
        self._beating: asyncio.Task[None] | None = None

    async def step(self) -> bool:
        """End, plan, and start to send what is due. Sending goes on in tasks of its own, one for each target. Return whether more is due."""
        await self._end_alarms()
        planned = 0
        async with self._database.read() as conn:
            is_due = await planner.any_due(conn, self._clock.now())
        if is_due:
            async with self._database.write() as conn:
                planned = await planner.plan_due(conn, list(self._targets.values()), self._runbook, self._clock.now())
        if self._targets:
            await self._start_sending()
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat(), name="heartbeat url")
        return planned == planner.BATCH

    async def settle(self) -> None:
        """Wait until everything that was started is done."""
        await asyncio.gather(*self._sending.values(), *filter(None, [self._beating]))

    async def stop(self) -> None:
        """Stop sending; what was not confirmed is sent again, by another process once its lease has expired."""
        tasks = [*self._sending.values(), *filter(None, [self._beating])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.close()

    async def _end_alarms(self) -> None:
        if self._clock.monotonic() < self._end_at:
            return
        self._end_at = self._clock.monotonic() + ENDINGS_SECONDS
        async with self._database.read() as conn:
            active = await alarms_service.list_active(conn)
        if active:
            async with self._database.write() as conn:
                ended = await end_what_is_over(conn, active, self._clock.now())
            for alarm in ended:
                log.info("alarm.ended", alarm=alarm.name, subject=alarm.subject, by=alarm.ended_by)

    async def _beat(self) -> None:
        try:
            await self._heartbeat.step()
        except Exception as error:  # noqa: BLE001 - a heartbeat that is not sent is what the monitor waits for
            log.warning("heartbeat.withheld", reason=reason_of(error))

    async def _start_sending(self) -> None:
        async with self._database.read() as conn:
            waiting = await notices_service.waiting_targets(conn, self._clock.now())
        for name in waiting & self._targets.keys():
            task = self._sending.get(name)
            if task is None or task.done():
                self._sending[name] = asyncio.create_task(self._send_to(self._targets[name]), name=f"notices:{name}")

    async def _send_to(self, target: Target) -> None:
        """Send what is due to one target."""
        try:
            now = self._clock.now()
            async with self._database.write() as conn:
                rows = await notices_service.claim(conn, target.name, self._owner, now, BATCH)
                recent = await notices_service.messages_since(conn, target.name, now - BURST)
            if target.scheme not in CHAT or recent + len(rows) <= MAX_MESSAGES:
                await self._send_singly(target, rows)
            elif recent > MAX_MESSAGES:
                # A digest has just said that much happens; the next one contains what came since.
                await self._postpone(rows, now + BURST / 4, None)
            else:
                await self._send_message(target, rows, content.digest(rows))
        except Exception as error:  # noqa: BLE001 - leases expire, and other targets do not depend on this one
            log.warning("notices.not_stored", target=target.name, reason=reason_of(error))

    async def _send_singly(self, target: Target, rows: Sequence[Notice]) -> None:
        """Send notifications one by one, in order; after a failure that may pass, the rest waits too."""
        for index, notice in enumerate(rows):
            due = await self._send_message(target, [notice], content.text(notice, target))
            if due is not None:
                await self._postpone(rows[index + 1 :], due, None)
                return

    async def _send_message(self, target: Target, rows: Sequence[Notice], text: str) -> datetime | None:
        """Send one message; return when to try again, None if it was taken or given up."""
        first = rows[0]
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                result = await self._senders.send(target, first, text, self._clock.now())
        except TimeoutError:
            result = Failed(f"it did not answer within {ATTEMPT_SECONDS:.0f} s")
        now = self._clock.now()
        if not isinstance(result, Failed):
            async with self._database.write() as conn:
                await notices_service.finish_sent(conn, rows, self._owner, now)
            log.info("notices.sent", target=target.name, notice=first.id, subject=first.subject, count=len(rows))
            return None
        log.warning("notices.not_sent", target=target.name, notice=first.id, reason=result.reason)
        wait = max(backoff(first.attempts + 1, base=2.0, cap=MAX_WAIT), result.retry_after or 0.0)
        due = now + timedelta(seconds=wait)
        async with self._database.write() as conn:
            for notice in rows:
                if result.is_final or due - notice.created_at > GIVE_UP_AFTER:
                    await notices_service.give_up(conn, notice, self._owner, now, result.reason)
                else:
                    await notices_service.postpone(conn, notice, self._owner, due, result.reason)
        return None if result.is_final else due

    async def _postpone(self, rows: Sequence[Notice], due: datetime, error: str | None) -> None:
        async with self._database.write() as conn:
            for notice in rows:
                await notices_service.postpone(conn, notice, self._owner, due, error)
