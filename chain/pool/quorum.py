"""Ask every provider one question, count the answers, and quarantine nodes that contradict the agreed answer.

A quarantined node is still asked. Its vote counts only if the trusted ones do not suffice, and only for an answer that a trusted
provider gave too. It is trusted again once each call that it was quarantined for is resolved: it gives the agreed answer, or the call is
dropped after MAX_TRIES repetitions without an answer. Nulls and errors other than a revert are silence and have no consequence: a null
receipt means only that this node does not know the transaction.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from chain.errors import CallReverted, Malformed, NoAgreement, NodeError
from chain.node.batch import Batcher
from chain.node.disagreements import REFUSED, Disagreement
from chain.node.metrics import ChainMetrics
from chain.node.node import Node
from chain.pool.differences import in_words
from chain.pool.readmission import readmit
from chain.pool.vote import Vote
from kit.logs import get_logger

log = get_logger(__name__)

Key = Callable[[Any], Hashable]
"""A function that extracts from a result what must be equal between nodes.

Raises ValueError, KeyError or TypeError for a malformed result.
"""

GRACE = 0.3
"""Seconds that a decided vote waits for the remaining answers, so that contradicting nodes are noticed.

Later answers are evaluated in the background.
"""


@dataclass(frozen=True, slots=True)
class Agreed:
    """The agreed answer: one node's result, the key it was compared by, and the providers that gave it."""

    value: Any
    key: Hashable
    agreed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    node: Node
    digest: bytes
    key: Hashable = None
    value: Any = None
    refusal: CallReverted | None = None


@dataclass(frozen=True, slots=True)
class _Silence:
    provider: str
    unknown: bool
    error: NodeError | None = None


_Outcome = _Answer | _Silence


def canonical(value: Any) -> Hashable:
    """Return a result as text that is equal for equal answers: sorted keys, hexadecimal digits in lower case."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).lower()


class QuorumCall:
    """One call that is sent to all providers."""

    def __init__(
        self,
        method: str,
        params: list[Any],
        needed: int,
        key: Key | None,
        metrics: ChainMetrics,
        timeout: float,
        batcher: Batcher | None = None,
        grace: float = GRACE,
        *,
        quarantine: bool = True,
    ) -> None:
        """Prepare a call; nothing is sent before `ask`.

        `needed` providers must give answers with one `key` (None: the whole result). `timeout` and `grace` are seconds: for each provider, and
        for the answers that a decided vote does not need. `quarantine` False leaves every node's quarantine as it is.
        """
        self._grace = grace
        self._quarantines = quarantine
        self._method = method
        self._params = params
        self._vote = Vote(needed)
        self._key = key or canonical
        self._metrics = metrics
        self._timeout = timeout
        self._batcher = batcher
        self._answers: list[_Answer] = []
        self._quarantined: list[_Answer] = []
        self._silent: list[_Silence] = []

    async def ask(self, providers: Mapping[str, Sequence[Node]], later: Callable[[Awaitable[None]], None]) -> Agreed:
        """Ask all providers at once, until no outstanding answer can change the outcome, and return the agreed answer.

        `later` runs the evaluation of late answers in the background. Raises NoAgreement, or CallReverted if the agreed answer is a revert.
        """
        trusted = [[node for node in nodes if not node.quarantined] for nodes in providers.values()]
        quarantined = [node for nodes in providers.values() for node in nodes if node.quarantined]
        counted = {asyncio.create_task(self._ask_provider(nodes)) for nodes in trusted if nodes}
        uncounted = {asyncio.create_task(self._ask_provider([node])) for node in quarantined}
        pending: set[asyncio.Task[_Outcome]] = counted | uncounted
        winner: bytes | None = None
        try:
            while winner is None and self._is_open(len(pending)):
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                self._collect(done)
                winner = self._vote.winner(len(pending & counted)) or self._winner_with_quarantined(pending)
            if pending:
                done, pending = await asyncio.wait(pending, timeout=self._grace)
                self._collect(done)
        except BaseException:
            for task in pending:
                task.cancel()
            raise
        answers = [*self._answers, *self._quarantined]
        chosen = None if winner is None else next(answer for answer in answers if answer.digest == winner)
        if pending:
            later(self._evaluate_later(pending, chosen))
        if chosen is None:
            raise self._no_agreement()
        self._evaluate(chosen)
        if chosen.refusal is not None:
            raise chosen.refusal
        holders = self._vote.holders(chosen.digest)
        return Agreed(chosen.value, chosen.key, tuple(name for name in providers if name in holders))

    def _is_open(self, pending: int) -> bool:
        """Return whether the pending answers could still make a winner. Without this, one node that hangs would delay every failure."""
        counts = Counter(answer.digest for answer in (*self._answers, *self._quarantined))
        return pending > 0 and self._vote.needed <= pending + max(counts.values(), default=0)

    async def _ask_provider(self, nodes: Sequence[Node]) -> _Outcome:
        """Return the answer of one provider: that of its first node that has one."""
        unknown, last, remaining = False, None, self._timeout
        deadline = asyncio.get_running_loop().time() + remaining
        for node in nodes:
            if remaining <= 0:
                break
            try:
                value = await self._call(node, remaining)
                if value is not None:
                    key = self._key(value)
                    return _Answer(node, repr(key).encode(), key, value)
                unknown = True
            except CallReverted as refusal:
                return _Answer(node, b"revert " + (refusal.data or "").lower().encode(), refusal=refusal)
            except NodeError as error:
                last = error
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                last = Malformed(node.name, f"{self._method}: the answer is not well formed")
            remaining = deadline - asyncio.get_running_loop().time()
        return _Silence(nodes[0].provider, unknown, last)

    async def _call(self, node: Node, timeout: float) -> Any:
        if self._batcher is None:
            return await node.call(self._method, self._params, timeout)
        return await self._batcher.call(node, self._method, self._params, timeout)

    def _collect(self, done: set[asyncio.Task[_Outcome]]) -> None:
        for task in done:
            outcome = task.result()
            if isinstance(outcome, _Silence):
                self._silent.append(outcome)
            elif outcome.node.quarantined:
                self._quarantined.append(outcome)
            else:
                self._answers.append(outcome)
                self._vote.cast(outcome.node.provider, outcome.digest)

    def _winner_with_quarantined(self, pending: set[asyncio.Task[_Outcome]]) -> bytes | None:
        """Return the winner once quarantined nodes are counted as well: first those that agree with the leading answer, then all.

        Without this, one provider in quarantine (for having been late once) and another that falls silent or gives wrong answers
        would stop everything for good. An answer that no trusted provider gave never wins.
        """
        if pending:
            return None
        leading = self._vote.leading()
        for added in ([answer for answer in self._quarantined if answer.digest == leading], self._quarantined):
            full = Vote(self._vote.needed, dict(self._vote.votes))
            for answer in added:
                full.cast(answer.node.provider, answer.digest)
            winner = full.winner()
            if winner is not None and winner in self._vote.votes.values():
                self._vote = full
                for answer in added:
                    answer.node.disagreements.recheck_now()
                return winner
        return None

    def _evaluate(self, agreed: _Answer) -> None:
        if not self._quarantines:
            return
        for answer in (*self._answers, *self._quarantined):
            if answer.digest == agreed.digest:
                if answer.node.disagreements.resolve(self._method, self._params):
                    readmit(answer.node, self._metrics)
            else:
                self._quarantine(answer, agreed)

    def _quarantine(self, answer: _Answer, agreed: _Answer) -> None:
        node, was_quarantined = answer.node, answer.node.quarantined
        key = answer.key if answer.refusal is None else REFUSED
        disagreement = Disagreement(self._method, self._params, self._vote.needed, self._key, key)
        disagreement.said, disagreement.agreed = in_words(
            answer.refusal or answer.value, agreed.refusal or agreed.value
        )
        disagreement.agreed_by = tuple(sorted(self._vote.holders(agreed.digest)))
        node.disagreements.record(disagreement)
        self._metrics.disagreement(node.name, self._method)
        if not was_quarantined:
            self._metrics.quarantine(node.name, active=True)
            log.error("chain.node_set_aside", node=node.name, method=self._method)

    async def _evaluate_later(self, pending: set[asyncio.Task[_Outcome]], agreed: _Answer | None) -> None:
        try:
            done, _ = await asyncio.wait(pending)
        except asyncio.CancelledError:
            for task in pending:
                task.cancel()
            raise
        if agreed is None:
            return
        self._answers, self._quarantined = [], []
        for task in done:
            outcome = task.result()
            if isinstance(outcome, _Answer):
                (self._quarantined if outcome.node.quarantined else self._answers).append(outcome)
        self._evaluate(agreed)

    def _no_agreement(self) -> NoAgreement:
        answers = [*self._answers, *self._quarantined]
        reason = "dissent" if len({answer.digest for answer in answers}) > 1 else "silence"
        unknown_to = tuple(silence.provider for silence in self._silent if silence.unknown)
        failed = tuple(silence.error for silence in self._silent if silence.error is not None)
        errors = "; ".join(map(str, failed))
        detail = (
            f"{self._method}: {self._vote.needed} providers must agree; {len(answers)} answered, "
            f"{len(unknown_to)} did not know"
            + (" and the answers differ" if reason == "dissent" else "")
            + (f". {errors}" if errors else "")
            + "."
        )
        return NoAgreement(
            reason,
            answered=tuple(answer.node.provider for answer in answers),
            unknown_to=unknown_to,
            errors=failed,
            detail=detail.replace("..", "."),
        )
