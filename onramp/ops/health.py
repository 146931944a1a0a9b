"""The health of the service: a line for each part, measured in the background so that a probe never waits for Stripe or a node."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from kit.clock import Clock
from kit.db.database import reason_of
from kit.logs import get_logger, redact, unbind

log = get_logger(__name__)
EVERY_SECONDS: Final = 5.0
LIMIT_SECONDS: Final = 4.0
UNWELL: Final = "unwell; the service's log says more"
"""The text that the public sees in place of a library's own error text."""


class NotWellError(Exception):
    """Raised by a check that fails. The text is public: it gives the reason in our own words, never in another system's."""

    def __init__(self, message: str, *, operator: str | None = None) -> None:
        """Create the error with the public text `message`; `operator` is a text with more detail, for the log and for operators only."""
        super().__init__(message)
        self.operator = operator or message


class DegradedError(Exception):
    """Raised by a check whose part is not well, although the service can still take traffic. The text is public and gives the reason."""


@dataclass(frozen=True, slots=True)
class Part:
    """The state of one part: whether it is `ok`, whether the service is unready without it (`vital`), and a public sentence."""

    name: str
    ok: bool
    detail: str
    vital: bool = True
    operator: str = ""
    """The sentence for operators. It may contain a library's error text, and with it statements, values and addresses."""
    since: datetime | None = None
    """Since when this process has found the part as it is (well or not); None before the first check."""


Check = Callable[[], Awaitable[str]]
"""A function that returns a sentence if its part is well, and raises an error if it is not."""


class Health:
    """Runs every check every few seconds and keeps the results."""

    def __init__(
        self,
        checks: Mapping[str, tuple[Check, bool]],
        clock: Clock,
        *,
        cheap: Collection[str] = frozenset(),
        hidden: Collection[str] = frozenset(),
    ) -> None:
        """Prepare to run `checks`: name -> (check, vital).

        `cheap` names the checks that `recheck` may run early, `hidden` the parts that are shown to operators only.
        """
        self._hidden = frozenset(hidden)
        self._checks = dict(checks)
        self._cheap = frozenset(cheap)
        self._recheck: asyncio.Task[None] | None = None
        self._clock = clock
        self._parts: dict[str, Part] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._loop(), name="health")

    async def stop(self) -> None:
        tasks = [task for task in (self._task, self._recheck) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def shown(self, *, operator: bool) -> list[Part]:
        """Return the parts as the public may see them, or, for an operator, all of them with more detail."""
        if operator:
            return [replace(part, detail=part.operator or part.detail) for part in self.parts()]
        return [part for part in self.parts() if part.name not in self._hidden]

    def unwell(self, name: str) -> bool:
        """Return whether a vital part has failed its last check; False before its first one."""
        part = self._parts.get(name)
        return part is not None and part.vital and not part.ok

    def parts(self) -> list[Part]:
        """Return the last results in the order of the checks. A part that was not checked yet counts as failed."""
        return [
            self._parts.get(name, Part(name, ok=False, detail="not checked yet", vital=vital))
            for name, (_, vital) in self._checks.items()
        ]

    @property
    def ready(self) -> bool:
        """Whether every vital part is well."""
        return all(part.ok for part in self.parts() if part.vital)

    @property
    def status(self) -> Literal["healthy", "degraded", "unhealthy"]:
        """The state of the service: `healthy`, `degraded` (a part that is not vital has failed) or `unhealthy`."""
        if not self.ready:
            return "unhealthy"
        return "healthy" if all(part.ok for part in self.parts()) else "degraded"

    async def measure(self) -> None:
        """Run every check once, concurrently."""
        # If cancelled, `gather` would return at once, and the database would be closed while other checks still use it.
        async with asyncio.TaskGroup() as group:
            for name in self._checks:
                group.create_task(self._run(name))

    async def recheck(self) -> None:
        """If only cheap checks keep the service from being ready, run them now, once for all waiting probes.

        So the service is ready as soon as it can sell, instead of at the next round.
        """
        unwell = [part.name for part in self.parts() if part.vital and not part.ok]
        if not unwell or not self._cheap.issuperset(unwell):
            return
        if self._recheck is None or self._recheck.done():
            self._recheck = asyncio.create_task(self._run_each(unwell), name="health-again")
        await asyncio.shield(self._recheck)

    async def _run_each(self, names: Collection[str]) -> None:
        unbind()
        for name in names:
            await self._run(name)

    async def _run(self, name: str) -> None:
        check, vital = self._checks[name]
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                part = Part(name, ok=True, detail=await check(), vital=vital)
        except DegradedError as error:
            part = Part(name, ok=False, detail=redact(str(error))[:300], vital=False)
        except NotWellError as error:
            text = redact(str(error))[:300]
            part = Part(name, ok=False, detail=text, vital=vital, operator=redact(error.operator)[:300])
        except TimeoutError:
            part = Part(name, ok=False, detail=f"no answer within {LIMIT_SECONDS:.0f} s", vital=vital)
        except Exception as error:  # noqa: BLE001 - any error of a check is the state of its part
            text = redact(reason_of(error))[:300] or type(error).__name__
            part = Part(name, ok=False, detail=UNWELL, vital=vital, operator=text)
        before = self._parts.get(name)
        if before is not None and before.ok != part.ok:
            (log.info if part.ok else log.error)(
                "health.changed", part=name, ok=part.ok, detail=part.operator or part.detail
            )
        since = self._clock.now() if before is None or before.ok != part.ok else before.since
        self._parts[name] = replace(part, since=since)

    async def _loop(self) -> None:
        while True:
            await self.measure()
            await self._clock.sleep(EVERY_SECONDS)
