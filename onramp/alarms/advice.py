"""What a person is told about an alarm: the sentence, the next command, the section of the runbook."""

from collections.abc import Mapping
from typing import Any, Final

from kit.alarms.model import Alarm, Definition, Ends, Severity
from onramp.alarms.catalog import CATALOG

RUNBOOK: Final = "docs/runbook.md"
"""The runbook, as a path in the repository; NOTICE_RUNBOOK_URL names the place where an operator keeps it."""
_UNKNOWN: Final = "An alarm of a newer version of this service; its log line says more."


class _Ids(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "ID"


def definition_of(name: str) -> Definition:
    """Return the definition of an alarm; one that this version does not know is urgent, and ends by acknowledgement."""
    return CATALOG.get(name) or Definition(name, Severity.PAGE, Ends.EVENT, _UNKNOWN)


def command_for(alarm: Alarm) -> str:
    """Return the command to run next for an alarm, with its ids filled in; empty if no command helps."""
    ids = {name: str(alarm.facts[name]) for name in ("session",) if name in alarm.facts}
    return definition_of(alarm.name).command.format_map(_Ids(subject=alarm.subject, **ids))


def session_of(facts: Mapping[str, Any]) -> str | None:
    """Return the id of the purchase that an alarm is about; None if it is about none."""
    session = facts.get("session")
    return session if isinstance(session, str) else None
