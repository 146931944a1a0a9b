"""The worker `mail`: send the mails that are due, several at a time, each to the address that is stored at that moment.

A mail is sent at least once: if the process dies between the server's acceptance and our commit, another one sends it again after the lease,
under the same Message-ID, by which most mail programs show it once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter

from kit.alarms.alarms import LocalAlarms
from kit.crypto.encryption import DecryptionError
from kit.crypto.keyring import KeyRing
from kit.logs import bound, get_logger
from kit.mail.mailer import Mailer, Outcome, SendResult
from kit.mail.message import Attachment, InvalidAddressError, Mailbox, Message
from kit.worker import WorkerContext
from onramp.buyer_mail import service as buyer_mail_service
from onramp.buyer_mail.letters import Letterhead, letter
from onramp.buyer_mail.table import MailState, MailStatus
from onramp.sessions import service as sessions_service
from onramp.sessions.contacts import email_of
from onramp.sessions.model import Session

log = get_logger(__name__)
AT_ONCE: Final = 4
INTERVAL_SECONDS: Final = 2.0
MISCONFIGURED_SECONDS: Final = 60.0
"""Seconds for which nothing is sent after the server refused our credentials, our sender, or showed a wrong certificate."""

ReceiptOf = Callable[[Session], Awaitable[Attachment]]


class BuyerMailMetrics:
    """Counts the mails to buyers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the metric, with every value of its labels at 0."""
        self.ended = Counter(
            "onramp_buyer_mails_total",
            "Mails to buyers by state of the purchase and outcome.",
            ("state", "outcome"),
            registry=registry,
        )
        for state in MailState:
            for status in MailStatus:
                if status is not MailStatus.PENDING:
                    self.ended.labels(state, status)


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a mail that is not sent."""

    status: MailStatus
    reason: str


@dataclass(frozen=True, slots=True)
class _Later:
    """A mail that cannot be sent yet."""

    reason: str


class BuyerMailWorker:
    """Sends what `BuyerMailPlanner` planned. One refused recipient stops no other mail."""

    name = "mail"
    interval = INTERVAL_SECONDS

    def __init__(
        self,
        context: WorkerContext,
        mailer: Mailer,
        ring: KeyRing,
        head: Letterhead,
        receipt_of: ReceiptOf,
        metrics: BuyerMailMetrics,
        alarms: LocalAlarms | None = None,
    ) -> None:
        """Send through `mailer`; `receipt_of` makes the attachment of a delivered purchase. Without `alarms`, alarms are only logged."""
        self._alarms = LocalAlarms() if alarms is None else alarms
        self._database = context.database
        self._clock = context.clock
        self._worker_metrics = context.metrics
        self._owner = context.owner
        self._mailer = mailer
        self._ring = ring
        self._head = head
        self._receipt_of = receipt_of
        self._metrics = metrics
        self._resume_at = float("-inf")

    async def step(self) -> bool:
        """Send up to AT_ONCE mails. Return whether more may be due."""
        if self._clock.monotonic() < self._resume_at:
            return False
        async with self._database.read() as conn:
            waiting, since = await buyer_mail_service.backlog(conn)
        now = self._clock.now()
        self._worker_metrics.backlog.labels(self.name).set(waiting)
        self._worker_metrics.age.labels(self.name).set(0 if since is None else max(0.0, (now - since).total_seconds()))
        if not waiting:
            return False
        async with self._database.write() as conn:
            mails = await buyer_mail_service.claim(conn, self._owner, now, AT_ONCE)
        await asyncio.gather(*(self._handle(mail) for mail in mails))
        return len(mails) == AT_ONCE

    async def _handle(self, mail: sa.Row[Any]) -> None:
        with bound(session=mail.session_id):
            prepared = await self._prepare(mail)
            if isinstance(prepared, Message):
                await self._record(mail, await self._mailer.send(prepared))
            elif isinstance(prepared, _End):
                await self._end(mail, prepared.status, prepared.reason)
            else:
                await self._postpone(mail, prepared.reason)

    async def _prepare(self, mail: sa.Row[Any]) -> Message | _End | _Later:
        """Return the message, written from the purchase and the buyer's address as they are now; or the reason why none is sent."""
        state = MailState(mail.state)
        async with self._database.read() as conn:
            session = await sessions_service.get(conn, mail.session_id)
            try:
                address = await email_of(conn, self._ring, mail.session_id)
            except DecryptionError as error:
                log.error("mail.address_unreadable", reason=str(error), detail="is a key missing in DATA_KEYS?")
                return _Later("the address cannot be decrypted")
        if session is None or address is None:
            return _End(MailStatus.DROPPED, "no address of the buyer is stored any more")
        if buyer_mail_service.state_of(session) is not state:
            if state is MailState.DELIVERED:
                return _Later("the delivery is being confirmed again")
            return _End(MailStatus.DROPPED, "the purchase has moved on")
        try:
            recipient = Mailbox(address)
        except InvalidAddressError:
            return _End(MailStatus.REFUSED, "the buyer's text is not an address that mail can be sent to")
        receipt = await self._receipt_of(session) if state is MailState.DELIVERED else None
        return letter(session, state, recipient, self._head, receipt=receipt)

    async def _record(self, mail: sa.Row[Any], result: SendResult) -> None:
        if result.outcome in {Outcome.SENT, Outcome.REFUSED}:
            self._alarms.clear("mail.misconfigured", self._mailer.place)
        if result.outcome is Outcome.SENT:
            await self._end(mail, MailStatus.SENT, "")
        elif result.outcome is Outcome.REFUSED:
            await self._end(mail, MailStatus.REFUSED, result.reason)
        else:
            if result.outcome is Outcome.MISCONFIGURED:
                self._resume_at = self._clock.monotonic() + MISCONFIGURED_SECONDS
                self._alarms.raise_alarm("mail.misconfigured", self._mailer.place, reason=result.reason)
            await self._postpone(mail, result.reason)

    async def _end(self, mail: sa.Row[Any], status: MailStatus, reason: str) -> None:
        async with self._database.write() as conn:
            is_ours = await buyer_mail_service.end(conn, mail, self._owner, status, reason, self._clock.now())
        if is_ours:
            self._report(mail, status, reason)

    async def _postpone(self, mail: sa.Row[Any], reason: str) -> None:
        async with self._database.write() as conn:
            status = await buyer_mail_service.postpone(conn, mail, self._owner, reason, self._clock.now())
        if status is MailStatus.PENDING:
            log.warning("mail.postponed", state=mail.state, tries=mail.tries + 1, reason=reason)
        else:
            self._report(mail, status, reason)

    def _report(self, mail: sa.Row[Any], status: MailStatus, reason: str) -> None:
        self._metrics.ended.labels(mail.state, status).inc()
        level = log.info if status in {MailStatus.SENT, MailStatus.DROPPED} else log.warning
        level(f"mail.{status}", state=mail.state, **({"reason": reason} if reason else {}))
