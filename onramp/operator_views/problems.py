"""What is wrong now, in sentences, each with the next step. Pure functions of alarms, parts, pauses and nodes."""

from collections.abc import Mapping, Sequence
from typing import Final

from chain.pool.health import Health as NodeHealth
from chain.pool.health import NodeStatus
from kit.alarms.model import Alarm, Severity
from kit.clock import rfc3339
from onramp.alarms.advice import command_for, definition_of
from onramp.operator_views.schemas.overview import NextStep, ProblemResponse, Urgency
from onramp.operator_views.waiting import Waiting
from onramp.ops.health import Part
from treasury.pause.model import Pause

_URGENCY: Final[Mapping[Severity, Urgency]] = {
    Severity.PAGE: "critical",
    Severity.TICKET: "warning",
    Severity.INFO: "info",
}
_ORDER: Final[Mapping[Urgency, int]] = {"critical": 0, "warning": 1, "info": 2}
_SCREENS: Final[Mapping[str, str]] = {
    "pay_": "queue?id=",
    "swp_": "sweeps?id=",
    "ons_": "purchase?id=",
    "pol_": "policy?id=",
    "key_": "people?id=",
    "whk_": "notifications?id=",
}
"""The screen of the console that shows a thing, by the beginning of its id."""
_SCREENS_OF_ALARMS: Final[Mapping[str, str]] = {
    "audit.": "audit",
    "hooks.": "notifications",
    "mail.": "notifications",
    "webhooks.": "notifications?view=events",
    "treasury.cold_wallet": "sweeps",
    "treasury.fee_ceiling": "policy",
    "treasury.usdc": "ledger",
    "treasury.ledger": "ledger",
    "treasury.payout": "queue",
    "treasury.sweep": "sweeps",
    "treasury.unknown_bytes": "nodes",
    "treasury.": "ledger",
}
"""The screen that shows more about an alarm without such an id, by the beginning of its name; the first that matches counts."""
_SCREENS_OF_PARTS: Final[Mapping[str, str]] = {
    "chain": "nodes",
    "inventory": "balances",
    "backlog": "notifications?view=events",
}
_BAD_NODES: Final[Mapping[NodeHealth, tuple[Urgency, str, str]]] = {
    "set aside": (
        "warning",
        "contradicts the other nodes, and its answers do not count",
        "Compare both answers. If it goes on, remove the node from the settings and inform its provider.",
    ),
    "wrong chain": ("warning", "serves another chain and is not used", "Correct its URL in the settings."),
    "unreachable": (
        "info",
        "does not answer",
        "Nothing, as long as enough other nodes answer; the service asks it again by itself.",
    ),
    "out of budget": ("warning", "has no credits left this month", "Buy more credits, or add a node."),
}


def screen_of(subject: str | None) -> str | None:
    """Return the screen of the console that shows the thing with this id; None if none shows it."""
    if subject is None:
        return None
    return next((f"{screen}{subject}" for prefix, screen in _SCREENS.items() if subject.startswith(prefix)), None)


def of_alarm(alarm: Alarm) -> ProblemResponse:
    """Return the problem that an active alarm reports."""
    definition, command = definition_of(alarm.name), command_for(alarm)
    session = alarm.facts.get("session")
    by_name = (screen for prefix, screen in _SCREENS_OF_ALARMS.items() if alarm.name.startswith(prefix))
    screen = screen_of(alarm.subject) or screen_of(session if isinstance(session, str) else None) or next(by_name, None)
    sentence = definition.action or ("Run the command." if command else f"Read the runbook: {definition.anchor}.")
    return ProblemResponse(
        severity=_URGENCY[definition.severity],
        name=alarm.name,
        subject=alarm.subject,
        sentence=definition.sentence,
        next=NextStep(sentence=sentence, command=command or None, screen=screen),
        since=rfc3339(alarm.raised_at),
        alarm_id=alarm.id,
        acknowledged_by=alarm.acknowledged_by,
    )


def of_part(part: Part) -> ProblemResponse | None:
    """Return the problem of a part of this process; None if it is well. Pauses are reported by `of_pause`."""
    if part.ok or part.name == "pause":
        return None
    consequence = " Nothing is sold meanwhile." if part.vital else ""
    return _problem(
        "critical" if part.vital else "warning",
        f"part.{part.name}",
        part.name,
        f"{part.name.capitalize()}: {part.detail.rstrip('.')}.{consequence}",
        NextStep(
            sentence="`onramp doctor` checks every part and says what to correct.",
            command="onramp doctor",
            screen=_SCREENS_OF_PARTS.get(part.name),
        ),
        since=None if part.since is None else rfc3339(part.since),
    )


def of_pause(pause: Pause) -> ProblemResponse:
    """Return the problem that a scope is paused."""
    note = f", with the note: {pause.note}" if pause.note else ""
    return _problem(
        "warning",
        f"pause.{pause.scope}",
        pause.scope,
        f"{pause.scope.capitalize()} are paused by {pause.person}{note}.",
        NextStep(
            sentence="An approver of another person than the one who paused resumes them.",
            command=f"onramp treasury resume --scope {pause.scope}",
            screen="approvals",
        ),
        since=rfc3339(pause.at),
    )


def of_node(status: NodeStatus) -> ProblemResponse | None:
    """Return the problem of a node; None if it is well, or only late or resting for a moment."""
    if status.health not in _BAD_NODES:
        return None
    severity, sentence, action = _BAD_NODES[status.health]
    about = f" ({', '.join(status.contradicts)})" if status.contradicts else ""
    return _problem(
        severity,
        f"node.{status.health.replace(' ', '_')}",
        status.name,
        f"The node {status.name} {sentence}{about}.",
        NextStep(sentence=action, command="onramp chain status", screen="nodes"),
    )


def of_waiting(waiting: Sequence[Waiting]) -> ProblemResponse | None:
    """Return the notice that something waits for a person; None if nothing does. Pauses are reported by themselves."""
    rows = [row for row in waiting if row.action != "pause.resume"]
    if not rows:
        return None
    kinds = sorted({row.action.partition(".")[0] for row in rows})
    count = "One decision waits" if len(rows) == 1 else f"{len(rows)} decisions wait"
    return _problem(
        "info",
        "approvals.waiting",
        None,
        f"{count} for a person: {', '.join(kinds)}.",
        NextStep(
            sentence="Look at what exactly each would do, then approve or reject it.", command=None, screen="approvals"
        ),
        since=min((rfc3339(row.at) for row in rows if row.at is not None), default=None),
    )


def most_urgent_first(problems: Sequence[ProblemResponse]) -> list[ProblemResponse]:
    """Return the problems sorted by urgency, and within one urgency the oldest first; those without a time come last."""
    return sorted(problems, key=lambda problem: (_ORDER[problem.severity], problem.since is None, problem.since or ""))


def _problem(
    severity: Urgency, name: str, subject: str | None, sentence: str, step: NextStep, *, since: str | None = None
) -> ProblemResponse:
    return ProblemResponse(
        severity=severity,
        name=name,
        subject=subject,
        sentence=sentence,
        next=step,
        since=since,
        alarm_id=None,
        acknowledged_by=None,
    )
