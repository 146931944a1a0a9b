"""Is the service well? A line for each part, measured in the background so that a probe never waits for Stripe or a node."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from kit.clock import Clock
from kit.db.database import reason_of
from kit.logs import get_logger, redact, unbind

log = get_logger(__name__)
EVERY_SECONDS: Final = 5.0
LIMIT_SECONDS: Final = 4.0
UNWELL: Final = "unwell; the service's log says more"
"""Shown to anyone in place of what a library said."""


class NotWellError(Exception):
    """Raised by a check whose part is not well. The text says why to anyone who asks: our own words, no other system's."""

    def __init__(self, message: str, *, operator: str | None = None) -> None:
        """`operator`: more, for the log and for operators alone."""
        super().__init__(message)
        self.operator = operator or message


class DegradedError(Exception):
    """Raised by a check whose part is unwell though traffic should still come here; the text says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part's state: `ok`, whether sales can go on without it, and a sentence for anyone."""

    name: str
    ok: bool
    detail: str
    vital: bool = True
    operator: str = ""
    """The same for operators, where more may be said: a library's own words may hold statements, values and addresses."""


Check = Callable[[], Awaitable[str]]
"""Answers a sentence when well; raises when not."""


class Health:
    """Asks every part every few seconds and remembers the answers."""

    def __init__(
        self,
        checks: Mapping[str, tuple[Check, bool]],
        clock: Clock,
        *,
        cheap: Collection[str] = frozenset(),
        hidden: Collection[str] = frozenset(),
    ) -> None:
        """`checks`: name -> (check, vital). `cheap`: those that may be asked again for a single probe. `hidden`: for operators alone."""
        self._hidden = frozenset(hidden)
        self._checks = dict(checks)
        self._cheap = frozenset(cheap)
        self._again: asyncio.Task[None] | None = None
        self._clock = clock
        self._parts: dict[str, Part] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._task = asyncio.create_task(self._loop(), name="health")

    async def stop(self) -> None:
        """Stop asking."""
        tasks = [task for task in (self._task, self._again) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def shown(self, *, operator: bool) -> list[Part]:
        """The parts as anyone may see them, or with all that an operator may know."""
        if operator:
            return [replace(part, detail=part.operator or part.detail) for part in self.parts()]
        return [part for part in self.parts() if part.name not in self._hidden]

    def unwell(self, name: str) -> bool:
        """Whether the part was found vitally unwell; False for one that was not asked yet."""
        part = self._parts.get(name)
        return part is not None and part.vital and not part.ok

    def parts(self) -> list[Part]:
        """What is known, in the order of the checks; a part that has not answered yet is not ready."""
        return [
            self._parts.get(name, Part(name, ok=False, detail="not checked yet", vital=vital))
            for name, (_, vital) in self._checks.items()
        ]

    @property
    def ready(self) -> bool:
        """Every vital part is well."""
        return all(part.ok for part in self.parts() if part.vital)

    @property
    def word(self) -> str:
        """`healthy`, `degraded` (a part that sales can do without is unwell) or `unhealthy`."""
        if not self.ready:
            return "unhealthy"
        return "healthy" if all(part.ok for part in self.parts()) else "degraded"

    async def measure(self) -> None:
        """Ask every part once, side by side."""
        # Cancelled, `gather` would return with the first that ends, and the database be closed under the questions of the others.
        async with asyncio.TaskGroup() as group:
            for name in self._checks:
                group.create_task(self._ask(name))

    async def look_again(self) -> None:
        """Where nothing but cheap parts keeps the service from being ready, ask those now, once for all probes that wait.

        So a service is ready as soon as it can sell, and not at the next round.
        """
        unwell = [part.name for part in self.parts() if part.vital and not part.ok]
        if not unwell or not self._cheap.issuperset(unwell):
            return
        if self._again is None or self._again.done():
            self._again = asyncio.create_task(self._ask_each(unwell), name="health-again")
        await asyncio.shield(self._again)

    async def _ask_each(self, names: Collection[str]) -> None:
        unbind()
        for name in names:
            await self._ask(name)

    async def _ask(self, name: str) -> None:
        check, vital = self._checks[name]
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                part = Part(name, ok=True, detail=await check(), vital=vital)
        except DegradedError as error:
            part = Part(name, ok=False, detail=redact(str(error))[:300], vital=False)
        except NotWellError as error:
            told = redact(str(error))[:300]
            part = Part(name, ok=False, detail=told, vital=vital, operator=redact(error.operator)[:300])
        except TimeoutError:
            part = Part(name, ok=False, detail=f"no answer within {LIMIT_SECONDS:.0f} s", vital=vital)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a part is its state
            more = redact(reason_of(error))[:300] or type(error).__name__
            part = Part(name, ok=False, detail=UNWELL, vital=vital, operator=more)
        before = self._parts.get(name)
        if before is not None and before.ok != part.ok:
            (log.info if part.ok else log.error)(
                "health.changed", part=name, ok=part.ok, detail=part.operator or part.detail
            )
        self._parts[name] = part

    async def _loop(self) -> None:
        while True:
            await self.measure()
            await self._clock.sleep(EVERY_SECONDS)
