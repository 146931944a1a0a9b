"""One node: its client, its health, its newest block, and the proof that it serves our chain.

A node is asked for its chain id before its first use and after each recovery: a URL may come back from an outage as
another chain.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

import aiohttp

from chain.batch import BatchSize
from chain.budget import UNLIMITED, Budget, Plan
from chain.coverage import Retention, Window
from chain.dissent import Dissent
from chain.errors import (
    BatchRefused,
    Malformed,
    NodeError,
    NodeTimeout,
    OutOfBudget,
    RateLimited,
    Unreachable,
    WrongChain,
)
from chain.latency import Latency
from chain.metrics import ChainMetrics
from chain.nodes import NodeConfig
from chain.types import quantity
from chain.wire import exchange, exchange_many
from kit.clock import Clock
from kit.logs import get_logger

log = get_logger(__name__)

State = Literal["untested", "ok", "cooling", "rate_limited", "wrong_chain"]

_FIRST_REST = 0.5
_LONGEST_REST = 10.0
_RATE_REST = 2.0
_WRONG_CHAIN_REST = 30.0


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
        self.dissent = Dissent(clock)
        self.last_error: str | None = None
        self.budget = Budget(plan, clock)
        self.latency = Latency()
        self.window = Window()
        self.retention = Retention(clock)
        self.batches = BatchSize(clock)
        self.errors: Counter[str] = Counter()
        self.requests = 0
        self.failures = 0
        """In a row."""
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
    def set_aside(self) -> bool:
        """Said otherwise than the others, and has not taken all of it back."""
        return bool(self.dissent)

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

    @property
    def most_at_once(self) -> int:
        """Questions it takes in one request, and that its plan allows in a second."""
        plan = self.budget.plan.per_second
        return min(self.batches.size, plan) if plan else self.batches.size

    async def call(self, method: str, params: list[Any], timeout: float | None = None) -> Any:
        """The result of one call, after the chain id was proved. Raises NodeError within `timeout` seconds."""
        left = await self._ready(timeout)
        result = await self._request(method, params, left)
        if method == "eth_blockNumber":
            self.head = self._quantity(result)
        return result

    async def call_many(self, calls: Sequence[tuple[str, list[Any]]], timeout: float | None = None) -> list[Any]:
        """The result of each call, or its NodeError: in few requests, or one by one of a node that takes no batches."""
        if 1 < len(calls) <= self.most_at_once:
            try:
                return await self._batch(calls, await self._ready(timeout, len(calls)))
            except BatchRefused as error:
                self.batches.refused(len(calls))
                log.info("chain.batch_refused", node=self.name, questions=len(calls), detail=error.detail)
            except NodeError as error:
                return [error] * len(calls)
        if 1 < self.most_at_once < len(calls):
            parts = [calls[start : start + self.most_at_once] for start in range(0, len(calls), self.most_at_once)]
            return [answer for part in parts for answer in await self.call_many(part, timeout)]

        async def alone(method: str, params: list[Any]) -> Any:
            try:
                return await self.call(method, params, timeout)
            except NodeError as error:
                return error

        return await asyncio.gather(*(alone(*call) for call in calls))

    async def _ready(self, timeout: float | None, questions: int = 1) -> float:
        """Wait until it may be asked; the seconds that are left. Raises NodeError."""
        if self.limited:
            raise self._limited_error()
        if not self.budget.allows(vital=True):
            raise OutOfBudget(self.name, "has used the month's credits")
        limit = self._timeout if timeout is None else timeout
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit
        await self._token(limit, questions)
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
        return max(deadline - loop.time(), 0.001)

    async def _token(self, limit: float, questions: int) -> None:
        """Wait until the plan allows so many, if that is within `limit` seconds."""
        waited = 0.0
        while wait := self.budget.wait(questions):
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
        self.requests += 1
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
        self.failures = 0
        return result

    async def _batch(self, calls: Sequence[tuple[str, list[Any]]], timeout: float) -> list[Any]:
        for method, _ in calls:
            self._calls[self.name, method] += 1
            self.budget.spend(method)
        self.requests += len(calls)
        first_id = next(self._ids)
        self._ids = itertools.count(first_id + len(calls))
        began = self._clock.monotonic()
        outcomes: list[str] = ["cancelled"] * len(calls)
        try:
            results = await exchange_many(self._session(), self.config, first_id, calls, timeout)
            outcomes = [one.kind if isinstance(one, NodeError) else "ok" for one in results]
        except NodeError as error:
            outcomes = [error.kind] * len(calls)
            self._judge(error)
            raise
        finally:
            for (method, _), outcome in zip(calls, outcomes, strict=True):
                self._metrics.request(self.name, method, outcome, self._clock.monotonic() - began)
            self.errors.update(kind for kind in outcomes if kind not in {"ok", "cancelled"})
        errors = [one for one in results if isinstance(one, NodeError)]
        self.failures = 0 if len(errors) < len(results) else self.failures
        # What rests a node rests it once, however many of its answers show it.
        for kind in (RateLimited, Malformed):
            shown = next((one for one in errors if isinstance(one, kind)), None)
            if shown is not None:
                self._judge(shown)
                break
        return results

    def _judge(self, error: NodeError) -> None:
        """Let an error rest the node where the node is at fault, not the question.

        An error inside a JSON-RPC answer (it carries a code) never counts as an outage: whoever can choose a contract
        to be called could otherwise make every node look dead.
        """
        if isinstance(error, RateLimited):
            self.failures += 1
            wait = (
                error.retry_after if error.retry_after is not None else _RATE_REST * min(2 ** (self.failures - 1), 32)
            )
            self._rest("rate_limited", wait, error)
        elif isinstance(error, Unreachable | NodeTimeout) and error.code is None:
            self.failures += 1
            self._verified = False
            self._rest("cooling", min(_FIRST_REST * 2 ** min(self.failures - 1, 10), _LONGEST_REST), error)

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
