"""One node: its client, its health, its newest block, and the proof that it serves our chain.

A node is asked for its chain id before its first use and after each recovery: a URL may come back from an outage as
another chain.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from chain.budget import UNLIMITED, Budget, Plan
from chain.coverage import Retention, Window
from chain.errors import Malformed, NodeError, NodeTimeout, OutOfBudget, RateLimited, Unreachable, WrongChain
from chain.latency import Latency
from chain.metrics import ChainMetrics
from chain.nodes import NodeConfig
from chain.types import quantity
from chain.wire import exchange
from kit.clock import Clock
from kit.logs import get_logger

log = get_logger(__name__)

State = Literal["untested", "ok", "cooling", "rate_limited", "wrong_chain"]
Health = Literal[
    "alive", "lagging", "set aside", "cooling down", "unreachable", "wrong chain", "out of budget", "untested"
]
LAGGING_BLOCKS = 3
"""Behind the best node by more than this: eleven seconds on Mezo."""
UNREACHABLE_AFTER = 3
"""Failures in a row after which a node does not merely rest."""

_FIRST_REST = 0.5
_LONGEST_REST = 10.0
_RATE_REST = 2.0
_WRONG_CHAIN_REST = 30.0


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How a node stands, for people: names and numbers, no URL."""

    name: str
    operator: str
    spectrum: bool
    state: State
    head: int | None
    set_aside: bool
    last_error: str | None
    health: Health
    lag: int | None
    """Blocks behind the best node."""
    p50: float | None
    """Seconds; the median of its newest answers."""
    p95: float | None
    requests: int
    errors: Mapping[str, int]
    """By kind, since the start."""
    credits_used: int
    """This month; an estimate."""
    credits_left: int | None
    holds_from: int | None
    """The earliest block it has shown; None where it was not asked."""
    pruned_to: int | None
    """The newest block it was asked for and did not have."""


class Node:
    """A node that is called by name. Not made by hand: the pool does."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        chain_id: int,
        session: Callable[[], aiohttp.ClientSession],
        clock: Clock,
        metrics: ChainMetrics,
        calls: Counter[tuple[str, str]],
        timeout: float,
        plan: Plan = UNLIMITED,
    ) -> None:
        """Nothing is sent before the first call."""
        self.config = config
        self.name = config.name
        self.operator = config.operator
        self.spectrum = config.spectrum
        self.head: int | None = None
        self.set_aside = False
        self.last_error: str | None = None
        self.budget = Budget(plan, clock)
        self.latency = Latency()
        self.window = Window()
        self.retention = Retention(clock)
        self.errors: Counter[str] = Counter()
        self._requests = 0
        self._chain_id = chain_id
        self._session = session
        self._clock = clock
        self._metrics = metrics
        self._calls = calls
        self._timeout = timeout
        self._ids = itertools.count(1)
        self._verified = False
        self._verifying = asyncio.Lock()
        self._state: State = "untested"
        self._rest_until = 0.0
        self._failures = 0

    def __repr__(self) -> str:
        """The name alone."""
        return f"<Node {self.name} {self.state}>"

    @property
    def state(self) -> State:
        """How it stands; a rest that is over has brought it back to untested."""
        if self._state in {"cooling", "rate_limited", "wrong_chain"} and self._clock.monotonic() >= self._rest_until:
            return "wrong_chain" if self._state == "wrong_chain" else "untested"
        return self._state

    @property
    def usable(self) -> bool:
        """May be asked now: it works, or its rest is over and a call will show."""
        return self._clock.monotonic() >= self._rest_until

    def covers(self, block: int) -> bool:
        """Its own newest block, as last told, is `block` or later."""
        return self.head is not None and self.head >= block

    @property
    def limited(self) -> bool:
        """Has asked for fewer requests and its wait is not over."""
        return self._state == "rate_limited" and not self.usable

    @property
    def wrong_chain(self) -> bool:
        """Serves another chain, as far as it was last asked."""
        return self._state == "wrong_chain"

    def health(self, best: int | None) -> Health:
        """How it stands, in an operator's words; `best` is the newest block of any node."""
        state = self.state
        if state == "wrong_chain":
            return "wrong chain"
        if not self.budget.allows(vital=True):
            return "out of budget"
        if self._failures >= UNREACHABLE_AFTER and state != "rate_limited":
            return "unreachable"
        if state in {"cooling", "rate_limited"}:
            return "cooling down"
        if self.set_aside:
            return "set aside"
        if self.head is not None and best is not None and best - self.head > LAGGING_BLOCKS:
            return "lagging"
        return "alive" if state == "ok" else "untested"

    def status(self, best: int | None = None) -> NodeStatus:
        """How it stands, for people."""
        return NodeStatus(
            self.name,
            self.operator,
            self.spectrum,
            self.state,
            self.head,
            self.set_aside,
            self.last_error,
            self.health(best),
            max(best - self.head, 0) if best is not None and self.head is not None else None,
            self.latency.percentile(50),
            self.latency.percentile(95),
            self._requests,
            dict(self.errors),
            self.budget.used,
            self.budget.left,
            self.retention.holds_from,
            self.retention.pruned_to,
        )

    async def call(self, method: str, params: list[Any], timeout: float | None = None) -> Any:
        """The result of one call, after the chain id was proved. Raises NodeError within `timeout` seconds."""
        if self.limited:
            raise self._limited_error()
        if not self.budget.allows(vital=True):
            raise OutOfBudget(self.name, "has used the month's credits")
        limit = self._timeout if timeout is None else timeout
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit
        await self._token(limit)
        if not self._verified:
            try:
                async with asyncio.timeout_at(deadline), self._verifying:
                    if not self._verified:
                        await self._verify(limit)
                timed_out = False
            except TimeoutError:
                timed_out = True
            if timed_out:
                raise NodeTimeout(self.name, f"no answer within {limit:g} s")
        result = await self._request(method, params, max(deadline - loop.time(), 0.001))
        if method == "eth_blockNumber":
            self.head = self._quantity(result)
        return result

    async def _token(self, limit: float) -> None:
        """Wait for the plan's next request, if it comes within `limit` seconds."""
        waited = 0.0
        while wait := self.budget.wait():
            waited += wait
            if waited > limit:
                raise OutOfBudget(self.name, "is asked as often a second as its plan allows")
            await self._clock.sleep(wait)

    async def _verify(self, timeout: float) -> None:
        chain_id = self._quantity(await self._request("eth_chainId", [], timeout))
        if chain_id != self._chain_id:
            self._state = "wrong_chain"
            self._rest_until = self._clock.monotonic() + _WRONG_CHAIN_REST
            self.head = None
            error = WrongChain(self.name, f"serves chain {chain_id}, not {self._chain_id}; it is not used")
            self._remember(error)
            log.error("chain.wrong_chain", node=self.name, expected=self._chain_id, found=chain_id)
            raise error
        if self._state != "ok":
            log.info("chain.node_up", node=self.name, before=self._state)
        self._verified = True
        self._state = "ok"
        self.retention.forget()
        self._metrics.health(self.name, up=True)

    async def _request(self, method: str, params: list[Any], timeout: float) -> Any:
        self._calls[self.name, method] += 1
        self._requests += 1
        self.budget.spend(method)
        began = self._clock.monotonic()
        outcome = "cancelled"
        try:
            result = await exchange(self._session(), self.config, next(self._ids), method, params, timeout)
            outcome = "ok"
            self.latency.note(self._clock.monotonic() - began)
        except NodeError as error:
            outcome = error.kind
            self.errors[error.kind] += 1
            self._judge(error)
            raise
        finally:
            self._metrics.request(self.name, method, outcome, self._clock.monotonic() - began)
        self._failures = 0
        return result

    def _judge(self, error: NodeError) -> None:
        """Let an error rest the node where the node is at fault, not the question.

        An error inside a JSON-RPC answer (it carries a code) never counts as an outage: whoever can choose a contract
        to be called could otherwise make every node look dead.
        """
        if isinstance(error, RateLimited):
            self._failures += 1
            wait = (
                error.retry_after if error.retry_after is not None else _RATE_REST * min(2 ** (self._failures - 1), 32)
            )
            self._rest("rate_limited", wait, error)
        elif isinstance(error, Unreachable | NodeTimeout) and error.code is None:
            self._failures += 1
            self._verified = False
            self._rest("cooling", min(_FIRST_REST * 2 ** min(self._failures - 1, 10), _LONGEST_REST), error)

    def _rest(self, state: State, seconds: float, error: NodeError) -> None:
        if self._state != state:
            log.warning(
                "chain.node_down", node=self.name, state=state, kind=error.kind, detail=error.detail, seconds=seconds
            )
        self._state = state
        self._rest_until = self._clock.monotonic() + seconds
        # After the wait the chain id is asked again, and that brings the state back to ok.
        self._verified = False
        self._remember(error)

    def _remember(self, error: NodeError) -> None:
        self.last_error = str(error)
        self._metrics.health(self.name, up=False)

    def _limited_error(self) -> RateLimited:
        error = RateLimited(self.name, "is left alone because it asked for fewer requests")
        error.retry_after = max(self._rest_until - self._clock.monotonic(), 0.0)
        return error

    def _quantity(self, value: Any) -> int:
        try:
            return quantity(value)
        except ValueError:
            pass
        error = Malformed(self.name, "a number was expected and something else came")
        self._judge(error)
        raise error
