"""Send one message to one target: Slack, Discord, PagerDuty, mail, signed JSON, or what apprise knows.

Each attempt is limited in time. No result holds a URL, because its path is a credential.
"""

import asyncio
import base64
import hashlib
import hmac
import importlib.util
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from kit.http.outbound import OutboundClient, OutboundFailure, OutboundResult
from kit.mail.mailer import Mailer, Outcome
from kit.mail.message import InvalidAddressError, Mailbox, Message
from kit.notices.targets import Target, secret_bytes
from onramp.notices import content
from onramp.notices.model import Notice, NoticeKind

SECONDS: Final = 10.0
"""The most that one attempt over HTTP may take."""
APPRISE_SECONDS: Final = 30.0
MAX_RETRY_AFTER: Final = 3600.0
_DISCORD_LENGTH: Final = 2_000
_SLACK_LENGTH: Final = 35_000
_SUMMARY_LENGTH: Final = 1_000
_PAGERDUTY_SEVERITY: Final = {"page": "critical", "ticket": "warning", "info": "info"}


@dataclass(frozen=True, slots=True)
class Sent:
    """The target has taken the message."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The target has not taken the message."""

    reason: str
    """A sentence for people, without the target's URL."""
    is_final: bool = False
    """Whether another attempt cannot help."""
    retry_after: float | None = None
    """Seconds that the target asks to wait."""


Result = Sent | Failed


def has_apprise() -> bool:
    """Return whether the extra `apprise` is installed; it is not imported."""
    return importlib.util.find_spec("apprise") is not None


class Senders:
    """Sends to every kind of target."""

    def __init__(self, http: OutboundClient, mailer: Mailer | None) -> None:
        self._http = http
        self._mailer = mailer

    async def send(self, target: Target, notice: Notice, text: str, now: datetime) -> Result:
        """Send a notification, whose text is `text`, once. Raises nothing but CancelledError."""
        match target.scheme:
            case "slack":
                safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
                return await self._post(target, {"text": safe[:_SLACK_LENGTH]})
            case "discord":
                body = {"content": text[:_DISCORD_LENGTH], "allowed_mentions": {"parse": []}}
                return await self._post(target, body)
            case "pagerduty":
                return await self._post(target, _pagerduty(target, notice))
            case "https":
                return await self._signed(target, notice, now)
            case "mailto":
                return await self._mail(target, notice, text)
            case _:
                return await _apprise(target.url, content.title(notice), text)

    async def _post(self, target: Target, body: Any, headers: dict[str, str] | None = None) -> Result:
        sent = {"Content-Type": "application/json", "User-Agent": "Onramp-Notices", **(headers or {})}
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return _result(await self._http.request("POST", target.url, body=data, headers=sent, seconds=SECONDS))

    async def _signed(self, target: Target, notice: Notice, now: datetime) -> Result:
        """Send JSON, signed as Standard Webhooks says (https://www.standardwebhooks.com)."""
        body, seconds = orjson.dumps(content.document(notice, target)), str(int(now.timestamp()))
        signed = f"{notice.id}.{seconds}.".encode() + body
        signature = base64.b64encode(hmac.digest(secret_bytes(target.secret), signed, hashlib.sha256)).decode()
        headers = {"webhook-id": notice.id, "webhook-timestamp": seconds, "webhook-signature": f"v1,{signature}"}
        return await self._post(target, body, headers)

    async def _mail(self, target: Target, notice: Notice, text: str) -> Result:
        if self._mailer is None:
            return Failed("SMTP_URL and MAIL_FROM are not set", is_final=True)
        try:
            to = Mailbox(target.url)
        except InvalidAddressError:
            return Failed("its address is not valid", is_final=True)
        message = Message(f"{notice.id}@{to.domain}", to, content.title(notice), text + "\n")
        result = await self._mailer.send(message)
        if result.outcome is Outcome.SENT:
            return Sent()
        return Failed(result.reason, is_final=result.outcome is Outcome.REFUSED)


def _pagerduty(target: Target, notice: Notice) -> dict[str, Any]:
    """Return an event of PagerDuty's Events API v2: trigger and resolve of an alarm have one dedup key."""
    event: dict[str, Any] = {
        "routing_key": target.secret,
        "event_action": "resolve" if notice.kind is NoticeKind.CLEARED else "trigger",
        "dedup_key": notice.alarm_id or notice.id,
    }
    if notice.kind is not NoticeKind.CLEARED:
        details = {"next": notice.content.get("command", ""), "action": notice.content.get("action", "")}
        runbook = notice.content.get("runbook", "")
        event["payload"] = {
            "summary": f"{notice.name} {notice.subject}: {notice.content['sentence']}"[:_SUMMARY_LENGTH],
            "source": "onramp",
            "severity": _PAGERDUTY_SEVERITY.get(notice.severity, "critical"),
            "class": notice.name,
            "custom_details": details | content.facts_for(notice, target) | {"runbook": runbook},
        }
        if runbook.startswith("https://"):
            event["links"] = [{"href": runbook, "text": "Runbook"}]
    return event


def _result(response: OutboundResult) -> Result:
    if isinstance(response, OutboundFailure):
        return Failed(response.reason, is_final=response.kind == "url_not_public")
    if 200 <= response.status < 300:
        return Sent()
    is_temporary = response.status in {408, 425, 429} or response.status >= 500
    reason = f"it answered {response.status}"
    return Failed(reason, is_final=not is_temporary, retry_after=_retry_after(response.headers.get("Retry-After")))


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header; a date, or no number, counts as none."""
    try:
        return None if value is None else min(max(0.0, float(value)), MAX_RETRY_AFTER)
    except ValueError:
        return None


async def _apprise(url: str, title: str, text: str) -> Result:
    """Send through apprise, in a thread and within APPRISE_SECONDS; its requests have no limit of their own."""

    def notify() -> bool | None:
        import apprise

        sender = apprise.Apprise()
        return bool(sender.notify(title=title, body=text)) if sender.add(url) else None

    if not has_apprise():
        return Failed("it needs apprise: pip install 'onramp[apprise]'", is_final=True)
    try:
        async with asyncio.timeout(APPRISE_SECONDS):
            result = await asyncio.to_thread(notify)
    except TimeoutError:
        return Failed(f"apprise did not finish within {APPRISE_SECONDS:.0f} s")
    except Exception as error:  # noqa: BLE001 - any plugin of apprise may raise anything, with the URL in its message
        return Failed(f"apprise failed ({type(error).__name__})")
    if result is None:
        return Failed("apprise does not know this URL", is_final=True)
    return Sent() if result else Failed("apprise did not deliver it")
