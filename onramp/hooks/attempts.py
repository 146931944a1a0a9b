"""One attempt to deliver a message: send it, and say what became of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from kit.clock import Clock, rfc3339
from kit.http.outbound import MAX_BODY, OutboundFailure, OutboundResponse, OutboundResult
from kit.http.retry_after import retry_after_seconds
from onramp import __version__
from onramp.hooks.signing import Secrets, signed_headers

USER_AGENT: Final = f"Onramp-Webhooks/{__version__}"
_ASKED_TO_WAIT: Final = frozenset({429, 503})


class Outcome(StrEnum):
    """What became of an attempt; the values are the label of a metric."""

    DELIVERED = "delivered"
    """The receiver answered 2xx."""
    REFUSED = "refused"
    """It answered anything else; a redirect is not followed."""
    GONE = "gone"
    """It answered 410: it wants no more messages."""
    TIMEOUT = "timeout"
    """It did not answer completely within 15 seconds. It may have accepted the message."""
    UNREACHABLE = "unreachable"
    """No connection, no valid certificate, or a connection that ended early."""
    BLOCKED = "blocked"
    """Its address is not public, so nothing was sent."""


class Client(Protocol):
    """An HTTP client that reaches public addresses only, as `kit.http.outbound.OutboundClient`."""

    async def request(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> OutboundResult:
        """Send one request and return the response or the failure."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that has ended."""

    at: datetime
    outcome: Outcome
    status: int | None
    """The HTTP status; None without a response."""
    milliseconds: int
    reason: str | None
    """Why it failed, for people; it names at most the host."""
    body: str | None
    """The beginning of the answer."""
    retry_after: float | None = None
    """The seconds that the receiver asked to wait."""

    def stored(self) -> dict[str, Any]:
        """Return what the delivery log keeps of it, as JSON."""
        return {
            "at": rfc3339(self.at),
            "outcome": self.outcome,
            "status": self.status,
            "milliseconds": self.milliseconds,
            "reason": self.reason,
        }


async def attempt(client: Client, clock: Clock, url: str, message_id: str, body: str, secrets: Secrets) -> Attempt:
    """Sign a message and send it once; raises nothing but CancelledError. The signature's time is that of this attempt."""
    now, raw, began = clock.now(), body.encode(), time.perf_counter()
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
    headers |= signed_headers(secrets, message_id, now, raw)
    result = await client.request("POST", url, body=raw, headers=headers)
    return _ended(result, now, int((time.perf_counter() - began) * 1000))


def _ended(result: OutboundResult, at: datetime, milliseconds: int) -> Attempt:
    if isinstance(result, OutboundFailure):
        return Attempt(at, _OUTCOMES.get(result.kind, Outcome.UNREACHABLE), None, milliseconds, result.reason, None)
    outcome = _outcome(result)
    reason = None if outcome is Outcome.DELIVERED else f"The receiver answered {result.status}."
    asked = retry_after_seconds(result.headers.get("Retry-After"), at) if result.status in _ASKED_TO_WAIT else None
    # Postgres accepts no text with NUL.
    text = result.body[:MAX_BODY].decode(errors="replace").replace("\0", "\ufffd")
    return Attempt(at, outcome, result.status, milliseconds, reason, text, asked)


_OUTCOMES: Final = {"timeout": Outcome.TIMEOUT, "url_not_public": Outcome.BLOCKED}


def _outcome(response: OutboundResponse) -> Outcome:
    if 200 <= response.status < 300:
        return Outcome.DELIVERED
    return Outcome.GONE if response.status == 410 else Outcome.REFUSED
