"""Several unreliable nodes as one source, with a policy for each call.

`first`       for hints: the answer of the first usable node, Spectrum's nodes before the others.
`quorum`      for everything that money depends on: all reachable providers are asked; enough of them must agree, and more than disagree.
`broadcast`   for transactions: the replies of all nodes, whatever their health.

Use `quorum` only for answers that do not change: a receipt, or state at a block number. At `latest`, honest nodes that are one block
apart answer differently, and the slower one would be quarantined for contradicting the others.
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
from chain.pool.quorum import GRACE, Agreed, Key, QuorumCall
from chain.pool.readmission import recheck
from kit.clock import Clock, SystemClock
from kit.logs import get_logger

__all__ = ["Agreed", "Node", "NodeConfig", "NodeReply", "NodeStatus", "Pool", "parse_nodes"]

log = get_logger(__name__)

TIMEOUT = 10.0


class Pool:
    """All nodes of one chain. A process creates one pool for each chain, and calls `close` at the end."""

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
        """Prepare the pool; nothing is sent yet. A `session` passed here is shared, and `close` leaves it open.

        `agreement` is how many providers must agree by default, `timeout` the seconds for a call; `plan` applies to each private node.
        """
        self.chain_id = chain_id
        self.agreement = agreement
        self.calls: Counter[tuple[str, str]] = Counter()
        self.clock = clock or SystemClock()
        self._metrics = metrics or NullMetrics()
        self._shared_session = session
        self._own_session: aiohttp.ClientSession | None = None
        self._timeout = timeout
        self._plan = plan
        self._nodes: tuple[Node, ...] = ()
        self._providers: Mapping[str, Sequence[Node]] = {}
        self.halt = HaltDetector(self.clock)
        self.reload(nodes)
        self._background: set[asyncio.Future[None]] = set()
        self._probe = Probe(lambda: self._nodes, agreement, self._later, self._note_heads)

    def __repr__(self) -> str:
        """Return the names of the nodes, without URLs."""
        return f"<Pool chain {self.chain_id}: {', '.join(node.name for node in self._nodes)}>"

    def reload(self, nodes: Iterable[NodeConfig]) -> None:
        """Replace the list of nodes. A node that is on both lists keeps its health, head and budget."""
        current = {node.config: node for node in self._nodes}
        configs = sorted(nodes, key=lambda config: not config.spectrum)
        self._nodes = tuple(current.get(config) or self._create(config) for config in configs)
        providers: dict[str, list[Node]] = {}
        for node in self._nodes:
            providers.setdefault(node.provider, []).append(node)
        self._providers = MappingProxyType(providers)

    def _create(self, config: NodeConfig) -> Node:
        return Node(
            config,
            chain_id=self.chain_id,
            session=self._session,
            clock=self.clock,
            metrics=self._metrics,
            calls=self.calls,
            timeout=self._timeout,
            plan=self._plan if config.spectrum else UNLIMITED,
        )

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes in the order of preference."""
        return self._nodes

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the providers, which have one vote each."""
        return tuple(self._providers)

    def statuses(self) -> list[NodeStatus]:
        """Return the status of each node."""
        # A node that reports a false head must not make the honest ones look late.
        best = max(self.heads().values(), default=None)
        return [status_of(node, best) for node in self._nodes]

    async def first(self, method: str, params: list[Any]) -> Any:
        """Return the first answer that is not null, in the order of preference; None if every node that answered returned null.

        After a null or a slow answer the next node is asked as well. Raises CallReverted for a revert, NodeError if no node answered.
        """
        nodes = self._preferred()
        if not nodes:
            raise Unreachable("(none)", f"no node can answer {method}")
        if len(nodes) == 1:  # no other node could be quicker or shares the deadline
            return await nodes[0].call(method, params)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout

        async def ask(node: Node) -> Any:
            remaining = deadline - loop.time()
            if remaining <= 0:  # not the node's fault, so it is not called and not blamed
                raise NodeTimeout(node.name, "was not asked because the time was up")
            return await node.call(method, params, remaining)

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
        """Return the answer that at least `k` providers give, compared by `key`, if more of them give it than give others.

        `k` is CHAIN_AGREEMENT by default. `batcher` sends the call together with its other concurrent calls. `grace` is how many seconds a
        decided vote waits for the remaining answers. With `quarantine` False, nodes are neither quarantined nor readmitted for their answers.
        Raises NoAgreement, NotEnoughProviders, and CallReverted if the agreed answer is a revert.
        """
        needed = self.agreement if k is None else k
        if needed < 1 or len(self._providers) < needed:
            raise NotEnoughProviders(
                "silence",
                detail=f"{method}: {needed} providers must agree, and {len(self._providers)} are configured.",
            )
        usable = {name: [node for node in nodes if node.usable] for name, nodes in self._providers.items()}
        limit = self._timeout if timeout is None else timeout
        question = QuorumCall(method, params, needed, key, self._metrics, limit, batcher, grace, quarantine=quarantine)
        return await question.ask({name: nodes for name, nodes in usable.items() if nodes}, self._later)

    def batcher(self) -> Batcher:
        """Return a batcher: concurrent calls through it to one node are sent in few requests."""
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
        """Return every node's reply, including nodes in a cooldown or in quarantine. Never raises for what a node does.

        With `until`, usable nodes are asked one after another in the order of preference until a reply satisfies it, then all others
        at once. `batcher` sends the call together with its other concurrent calls. With `patience`, silent nodes have this many seconds once as
        many providers as must agree have answered; their calls continue, and their replies are missing here.
        """

        def ask(node: Node) -> Awaitable[Any]:
            return node.call(method, params) if batcher is None else batcher.call(node, method, params)

        fan_out = FanOut(ask, sorted(self._nodes, key=lambda node: not node.usable))
        try:
            if until is not None:
                await fan_out.ask_in_order(until)
            return await fan_out.collect(self.agreement, patience, self._later)
        except BaseException:
            fan_out.cancel()
            raise

    def heads(self, *, trusted: bool = True) -> dict[str, int]:
        """Return the newest block that each provider has reported, without nodes on another chain, and if `trusted` without those in quarantine."""
        return heads_of(node for node in self._nodes if not (trusted and node.quarantined))

    def agreed_head(self, k: int | None = None) -> int:
        """Return the highest block that at least `k` providers (CHAIN_AGREEMENT by default) have reached. Raises NoAgreement.

        If `k` is 2 or more, a single exaggerated head has no effect. Quarantined nodes count too: without them, one quarantined provider
        and a silent one would stop all reading, including the calls that let the first be readmitted.
        """
        needed = self.agreement if k is None else k
        reported = heads_of(self._nodes)
        heads = sorted(reported.values(), reverse=True)
        if needed < 1 or len(self._providers) < needed:
            raise NotEnoughProviders(
                "silence",
                detail=f"{needed} providers must report their newest block, {len(self._providers)} are configured.",
            )
        if len(heads) < needed:
            raise NoAgreement(
                "silence",
                answered=tuple(reported),
                detail=f"{needed} providers must report their newest block, {len(heads)} did.",
            )
        return heads[needed - 1]

    @property
    def halt_reason(self) -> str | None:
        """Why the chain is halted, in words for people; None if it is not. It is a reason to wait and never a reason to fail."""
        return self.halt.reason

    async def refresh(self, *, force: bool = False) -> None:
        """Ask every usable node for its newest block, and for its chain id if unverified. Without `force`, a recent or running probe is enough."""
        await self._probe.run(force=force)

    def expire_probe(self) -> None:
        """Make the next `refresh` probe again, however recent the last probe was, because a new block is expected."""
        self._probe.expire()

    async def wait_for_background(self) -> None:
        """Wait until the calls that continue in the background have ended."""
        while self._background:
            await asyncio.gather(*self._background)

    async def close(self) -> None:
        """Cancel background calls, and close the session if the pool created it."""
        await self._probe.close()
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._own_session is not None:
            await self._own_session.close()

    def _preferred(self) -> list[Node]:
        candidates = [node for node in self._nodes if not node.quarantined and node.budget.allows(vital=False)]
        ready = [node for node in candidates if node.usable]
        # Probes find out whether a failed node is back; callers ask it last.
        ready.sort(key=lambda node: node.cooldown.failures > 0)
        # Better a node in its cooldown than none, but never one in quarantine or on another chain.
        return ready or [node for node in candidates if not node.limited and not node.wrong_chain]

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
                self._later(recheck(node, self.quorum, self.batcher(), self._metrics))

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _session(self) -> aiohttp.ClientSession:
        if self._shared_session is not None:
            return self._shared_session
        if self._own_session is None:
            self._own_session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._own_session
