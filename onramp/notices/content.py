"""What a notification says: fixed when it is planned, and written out for each target when it is sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from kit.alarms.model import LEVELS, Alarm
from kit.clock import rfc3339
from kit.notices.targets import Target
from onramp.alarms.advice import command_for, definition_of
from onramp.notices.model import Notice, NoticeKind

NO_BUYERS: Final = frozenset(
    {
        "session",
        "operation",
        "transaction",
        "worker",
        "count",
        "refused",
        "role",
        "person",
        "made_by",
        "stalled",
        "status",
    }
)
"""The facts that say nothing about the amount or the address of a buyer. A target with `buyers=yes` gets all facts."""
_LABELS: Final = {
    NoticeKind.APPROVAL: "APPROVAL",
    NoticeKind.CLEARED: "ENDED",
    NoticeKind.REMINDED: "STILL ACTIVE",
    NoticeKind.TEST: "TEST",
}
MAX_LINES: Final = 25
"""The most notifications that a digest lists one by one."""


def of_alarm(alarm: Alarm, runbook: str) -> dict[str, Any]:
    """Return the content of a notification about an alarm; `runbook` is the URL or path of the runbook."""
    definition = definition_of(alarm.name)
    return {
        "sentence": definition.sentence,
        "action": definition.action,
        "command": command_for(alarm),
        "runbook": f"{runbook}#{definition.anchor}",
        "facts": dict(alarm.facts),
        "raisedAt": rfc3339(alarm.raised_at),
        "endedAt": None if alarm.ended_at is None else rfc3339(alarm.ended_at),
        "endedBy": alarm.ended_by,
    }


def facts_for(notice: Notice, target: Target) -> dict[str, Any]:
    """Return the facts of a notification that a target may see."""
    facts = dict(notice.content.get("facts") or {})
    return facts if target.shows_buyers else {name: value for name, value in facts.items() if name in NO_BUYERS}


def title(notice: Notice) -> str:
    """Return one line: how urgent it is, what happened, and the id of its subject."""
    label = _LABELS.get(notice.kind, notice.severity.upper())
    return f"[{label}] {notice.name} {notice.subject}".strip()


def text(notice: Notice, target: Target) -> str:
    """Return a notification as plain text, without a buyer's amount or address unless the target shows them."""
    content = notice.content
    lines = [title(notice), content["sentence"]]
    if notice.kind is NoticeKind.CLEARED:
        lines = [
            title(notice),
            f"It was active from {content['raisedAt']} to {content['endedAt']}: {content['endedBy']}.",
        ]
    else:
        if content.get("command"):
            lines.append(f"Next: {content['command']}")
        if content.get("action"):
            lines.append(content["action"])
        lines += [f"{name}: {value}" for name, value in facts_for(notice, target).items()]
        if content.get("runbook"):
            lines.append(f"Runbook: {content['runbook']}")
        if notice.alarm_id is not None:
            lines.append(f"Acknowledge: onramp alarms acknowledge {notice.alarm_id}")
    return "\n".join(lines)


def digest(notices: Sequence[Notice]) -> str:
    """Return several notifications as one text, the most urgent first."""
    urgency: dict[str, int] = {level: index for index, level in enumerate(reversed(LEVELS))}
    ordered = sorted(notices, key=lambda notice: (urgency.get(notice.severity, 0), notice.created_at))
    lines = [f"{len(notices)} notifications within a minute. `onramp alarms list` shows what is active."]
    lines += [f"- {title(notice)}" for notice in ordered[:MAX_LINES]]
    if len(ordered) > MAX_LINES:
        lines.append(f"and {len(ordered) - MAX_LINES} more")
    return "\n".join(lines)


def document(notice: Notice, target: Target) -> Mapping[str, Any]:
    """Return a notification as the JSON that a signed receiver gets."""
    content = notice.content
    return {
        "type": f"notice.{notice.kind}",
        "timestamp": rfc3339(notice.created_at),
        "data": {
            "id": notice.id,
            "alarm": notice.name,
            "alarmId": notice.alarm_id,
            "severity": notice.severity,
            "subject": notice.subject,
            "sentence": content["sentence"],
            "command": content.get("command", ""),
            "action": content.get("action", ""),
            "runbook": content.get("runbook", ""),
            "raisedAt": content.get("raisedAt"),
            "endedAt": content.get("endedAt"),
            "facts": facts_for(notice, target),
        },
    }


def test_content(target: Target, at: datetime) -> dict[str, Any]:
    """Return the content of a test notification."""
    return {"sentence": f"Notifications reach {target.name}. This is a test at {rfc3339(at)}; nothing is wrong."}
