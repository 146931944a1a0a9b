"""The consumer of the outbox that notifies persons of what waits for a second one: sweeps, and versions of the policy.

A payout that waits, or is held, raises an alarm of its own.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms.model import Severity
from kit.clock import Clock
from kit.notices.targets import Target
from kit.outbox.service import Change
from onramp.notices import service as notices_service
from onramp.notices.model import NoticeKind

NAME: Final = "notices"


class _Waiting(NamedTuple):
    status: str
    sentence: str
    command: str
    action: str


_WAITING: Final[Mapping[str, _Waiting]] = {
    "sweep": _Waiting(
        "awaiting_approval",
        "A sweep to the cold wallet waits for another person than the one who proposed it.",
        "onramp treasury approve {id}",
        "Reject it if nobody expects it: onramp treasury reject {id}",
    ),
    "policy": _Waiting(
        "proposed",
        "A version of the treasury policy loosens a rule and waits for two persons.",
        "onramp treasury policy approve {id}",
        "Reject it if nobody expects it: onramp treasury policy reject {id}",
    ),
}


class ApprovalNotices:
    """Plans a notification when something begins to wait for a second person."""

    name = NAME
    topics: Collection[str] = frozenset(_WAITING)

    def __init__(self, targets: Sequence[Target], clock: Clock) -> None:
        self._targets = targets
        self._clock = clock

    async def plan(self, conn: AsyncConnection, changes: Sequence[Change]) -> None:
        """Plan a notification for each of these changes after which the row waits and before which it did not."""
        for change in changes:
            waiting = _WAITING[change.topic]
            was = None if change.old is None else change.old.get("status")
            if change.new.get("status") != waiting.status or was == waiting.status:
                continue
            content: dict[str, Any] = {
                "sentence": waiting.sentence,
                "command": waiting.command.format(id=change.subject),
                "action": waiting.action.format(id=change.subject),
                "facts": {},
            }
            await notices_service.plan(
                conn,
                self._targets,
                f"change/{change.id}/{change.subject}",
                NoticeKind.APPROVAL,
                name=f"{change.topic}.{waiting.status}",
                subject=change.subject,
                severity=Severity.TICKET,
                content=content,
                now=self._clock.now(),
            )
