"""Which payouts are signed next: everything that can speak against one is asked before it gets a nonce.

What concerns one payout takes that one out of the queue, and the next is looked at in the same step. What concerns the wallet (too
little MUSD or gas, fees above the ceiling) makes the first wait, and all behind it: the first paid is the first to be paid.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from chain.types import ZERO_ADDRESS
from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.incidents import unmatched
from treasury.payouts import queue as payout_queue
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.ports import FeeQuote, WalletView
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.holds import Ready, hold
from treasury.sender.stripe_checks import Passing, Proving, malformed
from treasury.transactions import queries
from treasury.transactions.model import Transaction
from treasury.transitions import MoveRefused

_STEP_SECONDS: Final = 5.0
"""How long one step goes on to the next payouts where the first ones leave the queue; then the sender looks at the chain again."""
_SILENT_ROUNDS: Final = 2
"""So many groups in a row about which nobody says anything: it is not these payouts, but Stripe or the nodes."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be signed; `why` the rest of the queue waits, None where it waits for nothing but its turn.

    `more`: the queue was not looked through, and the next step may follow at once.
    """

    ready: list[Ready] = field(default_factory=list)
    why: Reason | None = None
    more: bool = False

    @property
    def leaves_way(self) -> bool:
        """Whether a sweep may go: nobody is to be paid now, or the wallet lacks something for it."""
        return not self.ready and not self.more and self.why in {None, Reason.INSUFFICIENT, Reason.FEE_CEILING}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is read once for a group of payouts."""

    fees: FeeQuote
    ceiling: int
    outgoing: int
    spent: Collection[str]
    before: Sequence[Transaction]
    above: Sequence[str | None]


class Paying:
    """Decides about the payouts whose turn it is."""

    def __init__(self, desk: SenderContext, proving: Proving) -> None:
        """Only what is passed over for a while is remembered."""
        self._desk = desk
        self._proving = proving
        self._passing = Passing(desk)

    @property
    def passed(self) -> dict[str, Reason]:
        """Ids of payouts that are passed over now, and the reason of each."""
        return self._passing.now()

    async def choose(self, view: WalletView, room: int, ahead: int = 0) -> Choice:
        """The first of the queue as they are to be signed, at most `room`, up to what makes all behind it wait.

        `ahead`: how many nonces are given out before them, whose gas is not paid yet.
        """
        desk, config = self._desk, self._desk.config
        until = desk.clock.monotonic() + _STEP_SECONDS
        silent: list[Payout] = []
        silent_rounds, answered = 0, False
        choice = Choice(more=True)
        while choice.more and desk.clock.monotonic() <= until:
            async with desk.database.read() as conn:
                queue = await payout_queue.heads(conn, config.wallet, config.token, room, list(self._passing.now()))
            if not queue:
                choice = Choice()
                break
            desk.checkpoint("claimed")
            choice, mute, spoke = await self._round(queue, view, ahead)
            silent += mute
            answered |= spoke
            silent_rounds = silent_rounds + 1 if mute and not spoke else 0
            if silent_rounds == _SILENT_ROUNDS:
                choice = Choice(why=self._passing.now().get(mute[0].id))
        if answered:
            self._passing.lengthen(silent)
        return choice

    async def _round(self, queue: Sequence[Payout], view: WalletView, ahead: int) -> tuple[Choice, list[Payout], bool]:
        """Look at the first of the queue: what to do, those nobody says anything of, and whether anybody was answered about."""
        desk = self._desk
        fees = await desk.chain.fees()
        asked = [payout for payout in queue if not await self._refused_as_written(payout)]
        unscreened = await desk.rules.unscreened(asked)
        unknown = [payout for payout in asked if payout.id in unscreened]
        if unknown:
            for payout in unknown:
                log.warning("treasury.screening_unavailable", **operations.ids_of(payout))
            self._passing.add(unknown, Reason.SCREENING)
            asked = [payout for payout in asked if payout.id not in unscreened]
        if not asked:
            return Choice(more=True), unknown, len(unknown) < len(queue)
        facts = await self._facts(asked, view, fees)
        good = [payout for payout in asked if await self._unobjected(payout, facts, view)]
        if good and (reason := self._known_wall(good[0], facts, view, ahead)) is not None:
            return Choice(why=reason), unknown, True
        answers = await self._proving.ask(good)
        self._passing.add(answers.silent, Reason.PROOF_UNAVAILABLE)
        for payout in answers.good:
            self._passing.answered(payout)
        mute = [*unknown, *answers.silent]
        choice = await self._affordable(asked, answers.good, facts, view, ahead)
        return choice, mute, len(mute) < len(queue)

    async def _facts(self, queue: Sequence[Payout], view: WalletView, fees: FeeQuote) -> _Facts:
        desk, config = self._desk, self._desk.config
        references = [payout.reference for payout in queue]
        async with desk.database.read() as conn:
            spent = await unmatched.used_references(conn, references) | await queries.used_references(conn, references)
            outgoing = await operations.outgoing(conn, config.wallet, config.asset, view.block_number)
            before = await queries.of_operations(conn, [payout.id for payout in queue])
            above = await desk.rules.exceeded_limits(conn, queue, desk.clock.now())
            ceiling = await desk.rules.max_fee(conn) or config.max_fee
        return _Facts(fees, ceiling, outgoing, spent, before, above)

    async def _refused_as_written(self, payout: Payout) -> bool:
        """Hold a row that no code of ours writes, before anything of it is used."""
        objection = malformed(payout)
        if objection is not None:
            await hold(self._desk, payout, Reason.PAYMENT_MISMATCH, objection)
        return objection is not None

    async def _unobjected(self, payout: Payout, facts: _Facts, view: WalletView) -> bool:
        """Hold this payout where something speaks against it that has nothing to do with any other; True where nothing does."""
        desk, config = self._desk, self._desk.config
        tried = [one for one in facts.before if one.operation_id == payout.id]
        if payout.reference in facts.spent:
            await hold(desk, payout, Reason.REFERENCE_SPENT, "a transfer with its reference exists already")
        elif payout.to in {ZERO_ADDRESS, config.token, config.wallet}:
            await hold(desk, payout, Reason.RECIPIENT_REFUSED, f"{payout.to} cannot be paid")
        elif desk.rules.is_sanctioned(payout):
            await hold(desk, payout, Reason.SCREENING, "the recipient is on the list of those not to be paid")
        elif not await self._proving.all_dead(tried, view):
            # Two persons asked for another attempt; each signature ever given for it must be dead, on the chain's word.
            await hold(desk, payout, Reason.NOT_PROVED_DEAD, "an earlier attempt may still be mined")
        else:
            return True
        return False

    def _known_wall(self, first: Payout, facts: _Facts, view: WalletView, ahead: int) -> Reason | None:
        """Why the first of the queue still waits, where it is held for that and Stripe was asked about it not long ago.

        Without that question a row with an absurd amount would keep everybody waiting for funds that nobody is owed.
        """
        if first.status is not Status.HELD or self._wall(first, 0, facts, view, ahead) is None:
            return None
        if self._desk.pace.due(f"proof:{first.id}", self._desk.config.proof_seconds):
            return None
        return Reason(first.reason or Reason.INSUFFICIENT)

    def _wall(
        self, payout: Payout, earlier: int, facts: _Facts, view: WalletView, before: int
    ) -> tuple[Reason, str] | None:
        """What the wallet lacks to pay it behind `earlier` base units and `before` other nonces: a reason and a sentence."""
        config, fee = self._desk.config, facts.fees.max_fee
        if fee > facts.ceiling:
            return Reason.FEE_CEILING, f"the chain asks {fee} wei, above {facts.ceiling}"
        if facts.outgoing + earlier + payout.amount > view.token:
            return Reason.INSUFFICIENT, "the hot wallet holds too little"
        if (before + 1) * config.gas_limit * fee > view.native:
            return Reason.INSUFFICIENT, "the hot wallet holds too little for gas"
        return None

    async def _affordable(
        self, asked: Sequence[Payout], good: Sequence[Payout], facts: _Facts, view: WalletView, ahead: int
    ) -> Choice:
        """Those that policy and wallet allow, in order, up to the first that a person has to decide about or that lacks something."""
        desk, config = self._desk, self._desk.config
        if not good:
            return Choice(more=True)
        above = facts.above
        if len(good) < len(asked):
            # A limit counts those before as paid, and some of them are not.
            async with desk.database.read() as conn:
                above = await desk.rules.exceeded_limits(conn, good, desk.clock.now())
        ready: list[Ready] = []
        earlier = 0
        for payout, rule in zip(good, above, strict=True):
            if rule is not None and payout.approved_by is None:
                await self._ask_a_person(payout, rule)
                return Choice(ready, more=not ready)
            wall = self._wall(payout, earlier, facts, view, ahead + len(ready))
            if wall is not None:
                await hold(desk, payout, *wall)
                desk.pace.wait(f"proof:{payout.id}", config.proof_seconds)
                return Choice(ready, why=wall[0])
            earlier += payout.amount
            ready.append(Ready(payout, payout.amount, config.gas_limit, facts.fees))
        return Choice(ready, more=not ready)

    async def _ask_a_person(self, payout: Payout, rule: str) -> None:
        """Above a limit: a person decides, others are paid meanwhile."""
        desk = self._desk
        try:
            async with desk.leader.write() as conn:
                now = desk.clock.now()
                await payouts_service.move(
                    conn,
                    payout.id,
                    OperationFact.APPROVAL_REQUIRED,
                    now=now,
                    note=rule,
                    reason=Reason.AWAITING_APPROVAL,
                )
        except MoveRefused as refused:
            log.warning("treasury.not_asked", **operations.ids_of(payout), detail=str(refused))
            return
        desk.alarms.ring("payout_awaiting_approval", payout.id, **operations.ids_of(payout), rule=rule)
