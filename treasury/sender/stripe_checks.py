"""Stripe's answer about each payout, and the payouts that are held alone until their answer changes.

A row in a database is no authority to pay, so Stripe is asked about each payout before it gets a nonce. One that Stripe contradicts
is held by itself, with an alarm: somebody may have written into the database, and whatever was written is not signed. The others are
proved one by one in the same way, so they need not wait for it. One about which Stripe says nothing is passed over for a while.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from chain.reads.receipts import Reverted, Waiting
from chain.types import to_checksum
from treasury.core.reasons import Reason
from treasury.payouts import queue
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.ports import NotOwed, Owed, ProofUnavailable, WalletView
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.holds import hold, queue_again
from treasury.transactions import queries
from treasury.transactions.model import Transaction

_MAX_PASS: Final = 300.0
"""Seconds after which a payout that gets no answer while others do is asked about again, at the latest."""
_FORGET: Final = 3_600.0
_LOOK: Final = 10
"""How many payouts that are held alone are looked at in one step."""
_LOOK_SECONDS: Final = 2.0


@dataclass(slots=True)
class _Passed:
    """A payout about which nobody could say anything: passed over until `until`, on the monotonic clock."""

    reason: Reason
    until: float
    failures: int = 0
    """Times in a row that it got no answer while another payout did."""


@dataclass(slots=True)
class Passing:
    """Which payouts are passed over for now; memory only, so a restart asks about them once more."""

    desk: SenderContext
    _passed: dict[str, _Passed] = field(default_factory=dict)

    def now(self) -> dict[str, Reason]:
        """The ids that the queue is read without, each with the reason that it shows meanwhile."""
        now = self.desk.clock.monotonic()
        self._passed = {name: one for name, one in self._passed.items() if one.until + _FORGET > now}
        return {name: one.reason for name, one in self._passed.items() if one.until > now}

    def add(self, silent: Collection[Payout], reason: Reason) -> None:
        """Pass over these until the next search is due."""
        until = self.desk.clock.monotonic() + self.desk.config.scan_seconds
        for payout in silent:
            known = self._passed.get(payout.id)
            self._passed[payout.id] = _Passed(reason, until, 0 if known is None else known.failures)

    def lengthen(self, silent: Collection[Payout]) -> None:
        """Others were answered meanwhile, so it is these alone: double the time that each is passed over, up to five minutes."""
        now, first = self.desk.clock.monotonic(), self.desk.config.scan_seconds
        for payout in silent:
            one = self._passed[payout.id]
            one.failures += 1
            one.until = now + min(_MAX_PASS, first * 2.0 ** min(one.failures, 10))

    def answered(self, payout: Payout) -> None:
        """An answer came."""
        self._passed.pop(payout.id, None)


@dataclass(frozen=True, slots=True)
class Answers:
    """Stripe's answers about some payouts: those it agrees with, and those it says nothing of just now."""

    good: list[Payout]
    silent: list[Payout]


class Proving:
    """Asks Stripe, and holds alone what it contradicts."""

    def __init__(self, desk: SenderContext) -> None:
        """Only where the last look at the payouts held alone ended is remembered."""
        self._desk = desk
        self._after: str | None = None

    async def ask(self, asked: Sequence[Payout]) -> Answers:
        """Ask about these side by side; each that is contradicted is held alone, with an alarm."""
        answers = await asyncio.gather(*(self._answer(payout) for payout in asked))
        found = Answers([], [])
        for payout, answer in zip(asked, answers, strict=True):
            if isinstance(answer, ProofUnavailable):
                log.warning("treasury.proof_unavailable", **operations.ids_of(payout), reason=str(answer))
                found.silent.append(payout)
            elif objection := _contradiction(payout, answer):
                await hold(self._desk, payout, Reason.PAYMENT_MISMATCH, objection)
            else:
                found.good.append(payout)
        return found

    async def _answer(self, payout: Payout) -> Owed | NotOwed | ProofUnavailable | None:
        """What Stripe says; whatever goes wrong in asking about one payout is no answer about that one."""
        if malformed(payout):
            return None
        try:
            async with asyncio.timeout(self._desk.config.proof_timeout):
                return await self._desk.proof.owed(payout.session_id, payout.stripe_session_id)
        except ProofUnavailable as silence:
            return silence
        except TimeoutError:
            return ProofUnavailable("no answer in time")
        except Exception as error:  # noqa: BLE001 - one payout must not stop the others, whatever is wrong with it
            log.exception("treasury.proof_failed", **operations.ids_of(payout))
            return ProofUnavailable(type(error).__name__)

    async def look_aside(self, view: WalletView) -> None:
        """Look again at some of the payouts that are held alone; each is due once in `proof_seconds`, a few in a step.

        One that nothing speaks against any more queues again at its old place.
        """
        desk, config = self._desk, self._desk.config
        if self._after is None:
            if not desk.pace.due("aside", config.proof_seconds):
                return
            self._after = ""
            await self._look_at_tokens()
        elif not desk.pace.due("aside:step", _LOOK_SECONDS):
            return
        async with desk.database.read() as conn:
            found = await queue.held_alone(conn, config.wallet, _LOOK, self._after)
            before = await queries.of_operations(conn, [payout.id for payout in found]) if found else []
        self._after = found[-1].id if len(found) == _LOOK else None
        for payout in found:
            tried = [one for one in before if one.operation_id == payout.id]
            if payout.reason == Reason.NOT_PROVED_DEAD and await self.all_dead(tried, view):
                await queue_again(desk, payout, "every earlier attempt is proved dead")
        for payout in (await self.ask([one for one in found if one.reason == Reason.PAYMENT_MISMATCH])).good:
            await queue_again(desk, payout, "Stripe agrees")

    async def _look_at_tokens(self) -> None:
        """Hold alone what is owed in a token that is not paid out now; let go what is owed in the one that is."""
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            found = await queue.of_other_token(conn, config.wallet, config.token)
        for payout in found:
            if payout.token == config.token:
                await queue_again(desk, payout, "its token is paid out again")
            else:
                note = f"it is owed in the token {payout.token}; MUSD_TOKEN_ADDRESS is {config.token} now"
                await hold(desk, payout, Reason.TOKEN_CHANGED, note)

    async def all_dead(self, tried: Sequence[Transaction], view: WalletView) -> bool:
        """Whether none of an operation's earlier transactions can be mined any more."""
        return all([await self._dead(one, view) for one in tried])

    async def _dead(self, transaction: Transaction, view: WalletView) -> bool:
        """Its nonce is spent (None: it was lost to another), and each of its hashes is reverted, or unknown to all."""
        chain, nonce = self._desk.chain, transaction.nonce
        if nonce is not None and nonce >= view.nonce:
            return False
        for attempt in transaction.attempts:
            verdict = await chain.prove(transaction.token, attempt.hash, transaction.to, transaction.amount)
            if isinstance(verdict, Reverted):
                continue
            if not isinstance(verdict, Waiting) or not await chain.gone(attempt.hash):
                return False
        return True


def malformed(payout: Payout) -> str | None:
    """What in the row no code of ours writes, as a sentence; None where it is in order. Nothing of such a row is used."""
    if payout.reference != payouts_service.reference_text(payout.session_id):
        return "its reference is another session's"
    try:
        well = to_checksum(payout.to) == payout.to
    except ValueError:
        well = False
    return None if well and payout.amount > 0 else "its recipient or its amount is none"


def _contradiction(payout: Payout, answer: Owed | NotOwed | None) -> str | None:
    """What of the row is not as Stripe says it; the reference, by which a payment is found again, follows from the session's id."""
    if objection := malformed(payout):
        return objection
    if answer is None:
        return "Stripe knows no such payment"
    if isinstance(answer, NotOwed):
        return answer.why
    return None if (answer.to, answer.amount) == (payout.to, payout.amount) else "Stripe says another amount or wallet"
