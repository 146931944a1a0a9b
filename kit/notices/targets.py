"""Parse NOTICE_URLS: where notifications go, which ones, and how much each message shows."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from kit.alarms.model import LEVELS, Severity

Scheme = Literal["slack", "discord", "pagerduty", "mailto", "https", "apprise"]
PAGERDUTY: Final = "https://events.pagerduty.com/v2/enqueue"
"""Where PagerDuty takes events (Events API v2); accounts in Europe set `endpoint` to the host events.eu.pagerduty.com."""
CHAT: Final = frozenset({"slack", "discord", "mailto", "apprise"})
"""The targets that persons read: bursts become one message there."""
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")
_ADDRESS: Final = re.compile(r"[^\s@,<>]+@[^\s@,<>]+")


class TargetError(ValueError):
    """NOTICE_URLS has a part that is not valid. The message names its position and scheme, never the URL."""


@dataclass(frozen=True, slots=True)
class Target:
    """One place that notifications go to. Its repr shows no secret."""

    name: str
    scheme: Scheme
    url: str = field(repr=False)
    """The URL that is called; the address of a `mailto:`."""
    secret: str = field(default="", repr=False)
    """The signing secret (`whsec_...`) of a JSON receiver, or PagerDuty's routing key."""
    floor: Severity = Severity.TICKET
    """The least severity of which it is notified."""
    shows_buyers: bool = False
    """Whether messages hold amounts, addresses and other facts of single purchases."""

    def wants(self, severity: str) -> bool:
        """Return whether this target is notified of alarms of a severity."""
        return severity not in LEVELS or LEVELS.index(Severity(severity)) >= LEVELS.index(self.floor)


def parse_targets(text: str) -> list[Target]:
    """Return the targets of NOTICE_URLS, comma-separated. Raises TargetError."""
    targets: list[Target] = []
    for position, part in enumerate(filter(None, (item.strip() for item in text.split(","))), start=1):
        scheme = part.partition(":")[0].lower()
        try:
            target = _parse(part, scheme, position)
        except ValueError as error:
            label = scheme if re.fullmatch(r"[a-z+]{2,20}", scheme) else "its scheme"
            raise TargetError(f"NOTICE_URLS, part {position} ({label}): {error}") from None
        if any(target.name == other.name for other in targets):
            raise TargetError(f"NOTICE_URLS, part {position}: another target is named {target.name}")
        targets.append(target)
    return targets


def _parse(part: str, scheme: str, position: int) -> Target:
    base, options = _options(part)
    name = options.pop("name", f"{scheme}-{position}")
    if not _NAME.fullmatch(name):
        raise ValueError("name takes up to 40 letters, digits, dots, dashes and underscores")
    floor = options.pop("severity", Severity.TICKET)
    if floor not in LEVELS:
        raise ValueError(f"severity is one of {', '.join(LEVELS)}")
    buyers = options.pop("buyers", "no")
    if buyers not in {"yes", "no"}:
        raise ValueError("buyers is yes or no")
    target = _target(part, base, scheme, name, options)
    if options and target.scheme not in {"https", "apprise"}:
        raise ValueError(f"has no option {', '.join(sorted(options))}")
    return replace(target, floor=Severity(floor), shows_buyers=buyers == "yes")


def _target(part: str, base: str, scheme: str, name: str, options: dict[str, str]) -> Target:
    """Return the target of one part, without the options that every target has. Raises ValueError."""
    rest = base.partition(":")[2]
    match scheme:
        case "slack" | "discord":
            thread = options.pop("thread_id", "") if scheme == "discord" else ""
            return Target(name, scheme, _http(rest) + (f"?thread_id={thread}" if thread else ""))
        case "pagerduty":
            key = unquote(rest)
            if not re.fullmatch(r"[A-Za-z0-9]{16,64}", key):
                raise ValueError("expected pagerduty:ROUTING_KEY")
            return Target(name, "pagerduty", _http(options.pop("endpoint", PAGERDUTY)), key)
        case "mailto":
            address = unquote(rest)
            if not _ADDRESS.fullmatch(address):
                raise ValueError("expected mailto:ADDRESS, one address")
            return Target(name, "mailto", address)
        case "https" | "http":
            secret = options.pop("secret", "").replace(" ", "+")
            if not is_secret(secret):
                raise ValueError("secret is missing: whsec_ and at least 24 bytes in base64 ")
            url = _http(base + ("?" + urlencode(options) if options else ""))
            return Target(name, "https", url, secret)
        case _:
            if "://" not in part:
                raise ValueError("expected slack:, discord:, pagerduty:, mailto:, https: or a URL that apprise knows")
            url = base + ("?" + urlencode(options) if options else "")
            return Target(name, "apprise", url)


def _options(part: str) -> tuple[str, dict[str, str]]:
    base, _, query = part.partition("?")
    return base, dict(parse_qsl(query, keep_blank_values=True))


def _http(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("expected a URL that begins with https://, such as slack:https://hooks.slack.com/...")
    return urlunsplit(parts)


def is_secret(text: str) -> bool:
    """Return whether a text is a signing secret of Standard Webhooks."""
    return len(secret_bytes(text)) >= 24


def secret_bytes(text: str) -> bytes:
    """Return the key of a signing secret: its base64-decoded bytes; empty if it is not one."""
    if not text.startswith("whsec_"):
        return b""
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def missing_parts(targets: Sequence[Target], *, can_mail: bool, has_apprise: bool) -> list[str]:
    """Return a sentence for each thing that targets need and this service lacks."""
    problems = []
    if not can_mail and any(target.scheme == "mailto" for target in targets):
        problems.append("NOTICE_URLS has mailto:, which needs SMTP_URL and MAIL_FROM")
    if not has_apprise and any(target.scheme == "apprise" for target in targets):
        names = ", ".join(target.name for target in targets if target.scheme == "apprise")
        problems.append(f"NOTICE_URLS: {names} needs apprise: pip install 'onramp[apprise]'")
    return problems
