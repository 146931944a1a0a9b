"""Several unreliable nodes as one source, with a policy for each call.

`first`       a hint: the first usable node that answers, Spectrum's before the others.
`quorum`      money depends on it: every reachable provider is asked, enough must say the same and more than say
otherwise.
`broadcast`   a broadcast: every node that serves our chain, whatever its health.

Ask `quorum` about what does not move: a receipt, or state at a block number. The answer at `latest` differs between
honest nodes that are one block apart, and the slower one would be taken for a liar.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import aiohttp

from chain.errors import NoAgreement, NodeTimeout, NotEnoughProviders, Unreachable
from chain.node.batch import Batcher
from chain.node.budget import UNLIMITED, Plan
from chain.node.config import NodeConfig, parse_nodes
from chain.node.metrics import ChainMetrics, NullMetrics
from chain.node.node import Node
from chain.pool.fan_out import FanOut, NodeReply
from chain.pool.halt import HaltDetector
from chain.pool.health import NodeStatus, heads_of, status_of
from chain.pool.hedging import UNKNOWN, first
from chain.pool.probe import Probe
from chain.pool.quorum import GRACE, Agreed, Key, Question, ask_again
from kit.clock import Clock, SystemClock
from kit.logs import get_logger

__all__ = ["Agreed", "Node", "NodeConfig", "NodeReply", "NodeStatus", "Pool", "parse_nodes"]

log = get_logger(__name__)

TIMEOUT = 10.0


class Pool:
    """All nodes of one chain. Make it once, give it to everyone, `close` it at the end."""

    def __init__(
        self,
        nodes: Iterable[NodeConfig],
        *,
        chain_id: int,
        agreement: int = 2,
        session: aiohttp.ClientSession | None = None,
        clock: Clock | None = None,
        metrics: ChainMetrics | None = None,
        timeout: float = TIMEOUT,
        plan: Plan = UNLIMITED,
    ) -> None:
        """Nothing is sent yet. A `session` given here is shared, and left open by `close`.

        `timeout` in seconds for a call; `plan` holds for each private node.
        """
        self.chain_id = chain_id
        self.agreement = agreement
        self.calls: Counter[tuple[str, str]] = Counter()
        self._clock = clock or SystemClock()
        self._metrics = metrics or NullMetrics()
        self._given = session
        self._own: aiohttp.ClientSession | None = None
        self._timeout = timeout
        self._plan = plan
        self._nodes: tuple[Node, ...] = ()
        self._providers: Mapping[str, Sequence[Node]] = {}
        self.halt = HaltDetector(self._clock)
        self.reload(nodes)
        self._background: set[asyncio.Future[None]] = set()
        self._probe = Probe(lambda: self._nodes, agreement, self._later, self._note_heads)

    def __repr__(self) -> str:
        """Names alone."""
        return f"<Pool chain {self.chain_id}: {', '.join(node.name for node in self._nodes)}>"

    def reload(self, nodes: Iterable[NodeConfig]) -> None:
        """Take another list of nodes; one that is on both keeps its health, its head and its budget."""
        known = {node.config: node for node in self._nodes}
        configs = sorted(nodes, key=lambda config: not config.spectrum)
        self._nodes = tuple(known.get(config) or self._made(config) for config in configs)
        providers: dict[str, list[Node]] = {}
        for node in self._nodes:
            providers.setdefault(node.provider, []).append(node)
        self._providers = MappingProxyType(providers)

    def _made(self, config: NodeConfig) -> Node:
        return Node(
            config,
            chain_id=self.chain_id,
            session=self._session,
            clock=self._clock,
            metrics=self._metrics,
            calls=self.calls,
            timeout=self._timeout,
            plan=self._plan if config.spectrum else UNLIMITED,
        )

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node, in the order of preference."""
        return self._nodes

    @property
    def providers(self) -> tuple[str, ...]:
        """Who can have an opinion, each once."""
        return tuple(self._providers)

    def statuses(self) -> list[NodeStatus]:
        """How each node stands."""
        # One that lies about its head must not make the honest ones look late.
        best = max(self.heads().values(), default=None)
        return [status_of(node, best) for node in self._nodes]

    async def first(self, method: str, params: list[Any]) -> Any:
        """The first answer, in order of preference.

        A null is passed over while another node may know more, and a slow node is overtaken. Raises NodeError when no node answered.
        """
        nodes = self._preferred()
        if not nodes:
            raise Unreachable("(none)", f"no node can answer {method}")
        if len(nodes) == 1:  # nobody could overtake it, nor shares its deadline
            return await nodes[0].call(method, params)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout

        async def ask(node: Node) -> Any:
            left = deadline - loop.time()
            if left <= 0:  # nor may it be blamed for having no time to answer
                raise NodeTimeout(node.name, "was not asked, for the time was up")
            return await node.call(method, params, left)

        answer = await first(nodes, ask)
        return None if answer is UNKNOWN else answer

    async def quorum(
        self,
        method: str,
        params: list[Any],
        *,
        k: int | None = None,
        key: Key | None = None,
        timeout: float | None = None,
        batcher: Batcher | None = None,
        grace: float = GRACE,
        quarantine: bool = True,
    ) -> Agreed:
        """What at least `k` providers say, compared by `key`, and more of them than say otherwise.

        `batcher` sends it together with what else is asked through the same `batcher` in this moment; `grace`: seconds that a
        decided vote waits for the others' words; `quarantine` False: nobody is set aside for another answer, nor comes back with it.
        Raises NoAgreement, NotEnoughProviders, and CallReverted where it is agreed that the contract refuses.
        """
        needed = self.agreement if k is None else k
        if needed < 1 or len(self._providers) < needed:
            raise NotEnoughProviders(
                "silence",
                detail=f"{method}: {needed} providers must say the same, and {len(self._providers)} are configured.",
            )
        usable = {name: [node for node in nodes if node.usable] for name, nodes in self._providers.items()}
        limit = self._timeout if timeout is None else timeout
        question = Question(method, params, needed, key, self._metrics, limit, batcher, grace, quarantine=quarantine)
        return await question.ask({name: nodes for name, nodes in usable.items() if nodes}, self._later)

    def batcher(self) -> Batcher:
        """For many questions: asked concurrently through this, they travel in few requests."""
        return Batcher(self._later)

    async def broadcast(
        self,
        method: str,
        params: list[Any],
        *,
        until: Callable[[NodeReply], bool] | None = None,
        batcher: Batcher | None = None,
        patience: float | None = None,
    ) -> list[NodeReply]:
        """Every node's answer, resting nodes and those set aside included; never raises for what a node does.

        With `until`, one after another, the usable ones as preferred, until it is true of an answer; then all others at once.
        `batcher` as in `quorum`. `patience`: who is silent has so many seconds once as many providers as must agree have answered; it is
        asked all the same, and left out here.
        """

        def ask(node: Node) -> Awaitable[Any]:
            return node.call(method, params) if batcher is None else batcher.call(node, method, params)

        everyone = FanOut(ask, sorted(self._nodes, key=lambda node: not node.usable))
        try:
            if until is not None:
                await everyone.lead(until)
            return await everyone.hear(self.agreement, patience, self._later)
        except BaseException:
            everyone.cancel()
            raise

    def heads(self, *, trusted: bool = True) -> dict[str, int]:
        """The newest block each provider has told of; without other chains, and where `trusted` without those set aside."""
        return heads_of(node for node in self._nodes if not (trusted and node.quarantined))

    def agreed_head(self, k: int | None = None) -> int:
        """The highest block that at least `k` providers have reached: one that boasts moves nothing.

        Those set aside are counted: their word alone moves nothing either, and were they not, one that was set aside
        and another that falls silent would stop all reading, and with it the questions that let the first come back.
        Raises NoAgreement.
        """
        needed = self.agreement if k is None else k
        told = heads_of(self._nodes)
        heads = sorted(told.values(), reverse=True)
        if needed < 1 or len(self._providers) < needed:
            raise NotEnoughProviders(
                "silence",
                detail=f"{needed} providers must tell their newest block, {len(self._providers)} are configured.",
            )
        if len(heads) < needed:
            raise NoAgreement(
                "silence",
                answered=tuple(told),
                detail=f"{needed} providers must tell their newest block, {len(heads)} did.",
            )
        return heads[needed - 1]

    @property
    def halt_reason(self) -> str | None:
        """Why the chain itself stands still, in words; None while it moves. A reason to wait, never to fail anything."""
        return self.halt.reason

    async def refresh(self, *, force: bool = False) -> None:
        """Probe every node not at rest: chain id where unproved, newest block. An earlier probe, a moment ago or still running, is enough unless `force`."""
        await self._probe.run(force=force)

    def expire_probe(self) -> None:
        """One may come at any moment: the next `refresh` is not content with what was told a moment ago."""
        self._probe.forget()

    async def close(self) -> None:
        """End what still listens, and the session where it is ours."""
        await self._probe.close()
        waiting = list(self._background)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        if self._own is not None:
            await self._own.close()

    def _preferred(self) -> list[Node]:
        able = [node for node in self._nodes if not node.quarantined and node.budget.allows(vital=False)]
        ready = [node for node in able if node.usable]
        # Whether one that failed has come back is for the probes to find out: callers ask it last.
        ready.sort(key=lambda node: node.cooldown.failures > 0)
        # Better a resting node than none; one set aside or on another chain answers nothing.
        return ready or [node for node in able if not node.limited and not node.wrong_chain]

    def _note_heads(self) -> None:
        heads = [node.head for node in self._nodes if node.head is not None and not node.wrong_chain]
        for node in self._nodes:
            if node.head is not None:
                self._metrics.head(node.name, node.head, max(heads, default=node.head) - node.head)
        try:
            best = self.agreed_head()
        except NoAgreement:
            return
        self.halt.record_head(best)
        for node in self._nodes:
            if node.quarantined and node.usable:
                self._later(ask_again(node, self.quorum, self.batcher(), self._metrics))

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _session(self) -> aiohttp.ClientSession:
        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._own
