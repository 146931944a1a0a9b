"""Asking every provider one question, and deciding what was said.

A node that says otherwise than the agreed answer is set aside: its word counts for nothing on its own, but it goes on
being asked, and comes back when it says what the others say of what it was set aside for. Errors and nulls are silence,
which is never held against anyone: a null receipt means only that this node does not know.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from chain.errors import CallReverted, Malformed, NoAgreement, NodeError
from chain.node.batch import Batcher
from chain.node.disagreements import MAX_TRIES, REFUSED, Disagreement
from chain.node.metrics import ChainMetrics
from chain.node.node import Node
from chain.pool.vote import Vote
from kit.logs import get_logger

log = get_logger(__name__)

Key = Callable[[Any], Hashable]
"""Makes of a result what must be equal between nodes.

Raises ValueError, KeyError or TypeError for what is not well formed.
"""

GRACE = 0.3
"""Seconds a decided vote still waits for the others' words, so that a liar is noticed.

Later ones are heard in the background.
"""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the providers agree on: one node's result, the key it was compared by, and who says so."""

    value: Any
    key: Hashable
    agreed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Said:
    node: Node
    opinion: bytes
    key: Hashable = None
    value: Any = None
    refusal: CallReverted | None = None


@dataclass(frozen=True, slots=True)
class _Silent:
    provider: str
    unknown: bool
    error: NodeError | None = None


def canonical(value: Any) -> Hashable:
    """A result as text that is equal when two nodes say the same: sorted keys, hexadecimal digits in lower case."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).lower()


class Question:
    """One question on its way through the providers."""

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
        """Nothing is asked before `ask`; `batcher`: together with others of the same moment; `quarantine`: whoever says otherwise."""
        self._grace = grace
        self._held_against = quarantine
        self._method = method
        self._params = params
        self._vote = Vote(needed)
        self._key = key or canonical
        self._metrics = metrics
        self._timeout = timeout
        self._via = batcher
        self._said: list[_Said] = []
        self._aside: list[_Said] = []
        self._silent: list[_Silent] = []

    async def ask(self, providers: Mapping[str, Sequence[Node]], later: Callable[[Awaitable[None]], None]) -> Agreed:
        """Ask all at once; decided when no outstanding voice can change it, for an answer or for none. Raises NoAgreement, CallReverted."""
        voices = [[n for n in nodes if not n.quarantined] for nodes in providers.values()]
        asides = [n for nodes in providers.values() for n in nodes if n.quarantined]
        counted = {asyncio.create_task(self._opinion(nodes)) for nodes in voices if nodes}
        shadows = {asyncio.create_task(self._opinion([node])) for node in asides}
        pending: set[asyncio.Task[_Said | _Silent]] = counted | shadows
        winner: bytes | None = None
        try:
            while winner is None and self._open(len(pending)):
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                self._hear(done)
                winner = self._vote.winner(len(pending & counted)) or self._readmitting(pending)
            if pending:
                done, pending = await asyncio.wait(pending, timeout=self._grace)
                self._hear(done)
        except BaseException:
            for task in pending:
                task.cancel()
            raise
        if pending:
            later(self._hear_later(pending, winner))
        if winner is None:
            raise self._no_agreement()
        self._judge(winner)
        chosen = next(said for said in [*self._said, *self._aside] if said.opinion == winner)
        if chosen.refusal is not None:
            raise chosen.refusal
        holders = self._vote.holders(winner)
        return Agreed(chosen.value, chosen.key, tuple(name for name in providers if name in holders))

    def _open(self, pending: int) -> bool:
        """Whether so many more words could make a winner: one that hangs must not hold up what the others do not know."""
        heard = Counter(word.opinion for word in (*self._said, *self._aside))
        return pending > 0 and self._vote.needed <= pending + max(heard.values(), default=0)

    async def _opinion(self, nodes: Sequence[Node]) -> _Said | _Silent:
        """The word of one provider: its first node that has one."""
        unknown, last, left = False, None, self._timeout
        deadline = asyncio.get_running_loop().time() + left
        for node in nodes:
            if left <= 0:
                break
            try:
                value = await self._call(node, left)
                if value is not None:
                    key = self._key(value)
                    return _Said(node, repr(key).encode(), key, value)
                unknown = True
            except CallReverted as refusal:
                return _Said(node, b"revert " + (refusal.data or "").lower().encode(), refusal=refusal)
            except NodeError as error:
                last = error
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                last = Malformed(node.name, f"{self._method}: the answer is not well formed")
            left = deadline - asyncio.get_running_loop().time()
        return _Silent(nodes[0].provider, unknown, last)

    async def _call(self, node: Node, left: float) -> Any:
        if self._via is None:
            return await node.call(self._method, self._params, left)
        return await self._via.call(node, self._method, self._params, left)

    def _hear(self, done: set[asyncio.Task[_Said | _Silent]]) -> None:
        for task in done:
            word = task.result()
            if isinstance(word, _Silent):
                self._silent.append(word)
            elif word.node.quarantined:
                self._aside.append(word)
            else:
                self._said.append(word)
                self._vote.cast(word.node.provider, word.opinion)

    def _readmitting(self, pending: set[asyncio.Task[_Said | _Silent]]) -> bytes | None:
        """The winner once those set aside are heard as well: first who says what the leading trusted voice says, then all.

        Without this, a provider that was set aside, for being late once, and another that then falls silent or lies
        would stop everything for good. What no trusted voice says never wins.
        """
        if pending:
            return None
        leading = self._vote.leading()
        for heard in ([word for word in self._aside if word.opinion == leading], self._aside):
            full = Vote(self._vote.needed, dict(self._vote.voices))
            for word in heard:
                full.cast(word.node.provider, word.opinion)
            winner = full.winner()
            if winner is not None and winner in self._vote.voices.values():
                self._vote = full
                for word in heard:
                    word.node.disagreements.recheck_now()
                return winner
        return None

    def _judge(self, winner: bytes) -> None:
        if not self._held_against:
            return
        for word in (*self._said, *self._aside):
            if word.opinion == winner:
                if word.node.disagreements.resolve(self._method, self._params):
                    readmit(word.node, self._metrics)
            else:
                self._quarantine(word)

    def _quarantine(self, word: _Said) -> None:
        node, known = word.node, word.node.quarantined
        said = word.key if word.refusal is None else REFUSED
        node.disagreements.record(Disagreement(self._method, self._params, self._vote.needed, self._key, said))
        self._metrics.disagreement(node.name, self._method)
        if not known:
            self._metrics.quarantine(node.name, active=True)
            log.error("chain.node_set_aside", node=node.name, method=self._method)

    async def _hear_later(self, pending: set[asyncio.Task[_Said | _Silent]], winner: bytes | None) -> None:
        try:
            done, _ = await asyncio.wait(pending)
        except asyncio.CancelledError:
            for task in pending:
                task.cancel()
            raise
        if winner is None:
            return
        self._said, self._aside = [], []
        for task in done:
            word = task.result()
            if isinstance(word, _Said):
                (self._aside if word.node.quarantined else self._said).append(word)
        self._judge(winner)

    def _no_agreement(self) -> NoAgreement:
        said = [*self._said, *self._aside]
        reason = "dissent" if len({word.opinion for word in said}) > 1 else "silence"
        unknown_to = tuple(word.provider for word in self._silent if word.unknown)
        failed = tuple(word.error for word in self._silent if word.error is not None)
        errors = "; ".join(map(str, failed))
        detail = (
            f"{self._method}: {self._vote.needed} providers must say the same; {len(said)} said something, "
            f"{len(unknown_to)} did not know"
            + (" and they differ" if reason == "dissent" else "")
            + (f". {errors}" if errors else "")
            + "."
        )
        return NoAgreement(
            reason,
            answered=tuple(word.node.provider for word in said),
            unknown_to=unknown_to,
            errors=failed,
            detail=detail.replace("..", "."),
        )


def readmit(node: Node, metrics: ChainMetrics) -> None:
    """It has taken everything back: its word counts again."""
    metrics.quarantine(node.name, active=False)
    log.warning("chain.node_readmitted", node=node.name)


async def ask_again(
    node: Node, agree: Callable[..., Awaitable[Agreed]], batcher: Batcher, metrics: ChainMetrics
) -> None:
    """Put to everyone once more what this node was set aside for: `agree` lets it return where it takes it back."""

    async def once_more(one: Disagreement) -> None:
        given_up = one.tries > MAX_TRIES
        try:
            await agree(one.method, one.params, k=one.needed, key=one.key, batcher=batcher)
        except CallReverted:
            return
        except NoAgreement as error:
            if node.provider in error.answered:
                one.tries = 0
                return
            given_up = given_up or not error.answered
        # Unless it has just said it anew.
        if given_up and node.disagreements.find(one.method, one.params) is one:
            node.disagreements.resolve(one.method, one.params)
            if not node.quarantined:
                readmit(node, metrics)

    await asyncio.gather(*(once_more(one) for one in node.disagreements.due()))
