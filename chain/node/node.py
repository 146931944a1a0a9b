"""One node: its client, its health, its newest block, and the check that it serves the configured chain.

The chain id is checked before the first call and after each outage, because a URL may come back serving another chain.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp

from chain.errors import (
    BatchRefused,
    LimitExceeded,
    Malformed,
    NodeError,
    NodeTimeout,
    OutOfBudget,
    RateLimited,
    WrongChain,
)
from chain.node.batch import BatchSize
from chain.node.budget import UNLIMITED, Budget, Plan
from chain.node.config import NodeConfig
from chain.node.cooldown import Cooldown, State
from chain.node.disagreements import Disagreements
from chain.node.jsonrpc import MIN_TIMEOUT, exchange, exchange_many
from chain.node.latency import Latency
from chain.node.log_coverage import Retention, Window
from chain.node.metrics import ChainMetrics
from chain.types import quantity
from kit.clock import Clock
from kit.logs import get_logger

log = get_logger(__name__)


class Node:
    """A node and its state: calls are sent here, and what they show about the node is recorded. The pool creates it."""

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
        """Create the node; nothing is sent before the first call. `timeout` in seconds is the default for a call; `calls` counts (node, method)."""
        self.config = config
        self.name = config.name
        self.provider = config.provider
        self.spectrum = config.spectrum
        self.head: int | None = None
        self.disagreements = Disagreements(clock)
        self.cooldown = Cooldown(config.name, clock, metrics)
        self.budget = Budget(plan, clock)
        self.latency = Latency()
        self.window = Window()
        self.retention = Retention(clock)
        self.batches = BatchSize(clock)
        self.errors: Counter[str] = Counter()
        self.requests = 0
        self._chain_id = chain_id
        self._session = session
        self._clock = clock
        self._metrics = metrics
        self._calls = calls
        self._timeout = timeout
        self._ids = itertools.count(1)
        self._verifying = asyncio.Lock()

    def __repr__(self) -> str:
        """Return the name and the state, without the URL."""
        return f"<Node {self.name} {self.state}>"

    @property
    def state(self) -> State:
        """The node's state. `cooling` and `rate_limited` become `untested` when the wait is over; `wrong_chain` stays until the node is verified."""
        return self.cooldown.state

    @property
    def quarantined(self) -> bool:
        """Whether the node contradicted an agreed answer and has not resolved that. Its vote then counts only if the trusted ones do not suffice."""
        return bool(self.disagreements)

    @property
    def usable(self) -> bool:
        """Whether the node may be called now, because it is in no cooldown."""
        return self.cooldown.over

    def covers(self, block: int) -> bool:
        """Return whether the node's newest block, as last reported, is `block` or later."""
        return self.head is not None and self.head >= block

    @property
    def limited(self) -> bool:
        """Whether the node asked for fewer requests and the wait that follows is not over."""
        return self.cooldown.limited

    @property
    def wrong_chain(self) -> bool:
        """Whether the node served another chain when it was last checked."""
        return self.cooldown.state == "wrong_chain"

    @property
    def max_batch(self) -> int:
        """The most calls to send in one request: what the node accepts, and not more than its plan allows in one second."""
        plan = self.budget.plan.per_second
        return min(self.batches.size, plan) if plan else self.batches.size

    async def call(self, method: str, params: list[Any], timeout: float | None = None) -> Any:
        """Return the result of one call, after checking the chain id if needed.

        Raises NodeError, within `timeout` seconds (by default the pool's timeout).
        """
        remaining = await self._ready(timeout)
        result = await self._request(method, params, remaining)
        if method == "eth_blockNumber":
            self.head = self._quantity(result)
        return result

    async def call_many(self, calls: Sequence[tuple[str, list[Any]]], timeout: float | None = None) -> list[Any]:
        """Return the result of each call, or its NodeError, in the order of `calls`: in batches, or one by one if the node accepts none."""
        if 1 < len(calls) <= self.max_batch:
            try:
                return await self._batch(calls, await self._ready(timeout, len(calls)))
            except BatchRefused as error:
                self.batches.refused(len(calls))
                log.info("chain.batch_refused", node=self.name, questions=len(calls), detail=error.detail)
            except NodeError as error:
                return [error] * len(calls)
        if 1 < self.max_batch < len(calls):
            parts = [calls[start : start + self.max_batch] for start in range(0, len(calls), self.max_batch)]
            return [answer for part in parts for answer in await self.call_many(part, timeout)]

        async def alone(method: str, params: list[Any]) -> Any:
            try:
                return await self.call(method, params, timeout)
            except NodeError as error:
                return error

        return await asyncio.gather(*(alone(*call) for call in calls))

    async def _ready(self, timeout: float | None, questions: int = 1) -> float:
        """Wait until the node may be called, and return the seconds left of `timeout`. Raises NodeError."""
        if self.cooldown.limited:
            error = RateLimited(self.name, "is in a cooldown because it asked for fewer requests")
            error.retry_after = self.cooldown.seconds_left
            raise error
        if not self.budget.allows(vital=True):
            raise OutOfBudget(self.name, "has no credits left this month")
        limit = self._timeout if timeout is None else timeout
        if self.cooldown.verified and not self.budget.plan.per_second:
            return limit
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit
        if not self.cooldown.verified:
            await self._ensure_verified(deadline)
        await self._token(deadline, questions)
        return max(deadline - loop.time(), MIN_TIMEOUT)

    async def _ensure_verified(self, deadline: float) -> None:
        """Check the chain id once for all waiting calls. Raises NodeError; only a failed check itself begins a cooldown."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                await self._verifying.acquire()
        except TimeoutError:
            raise NodeTimeout(self.name, "did not return its chain id in time") from None
        try:
            if not self.cooldown.verified:
                await self._token(deadline)
                await self._verify(max(deadline - loop.time(), MIN_TIMEOUT))
        finally:
            self._verifying.release()

    async def _token(self, deadline: float, questions: int = 1) -> None:
        """Wait until the plan allows this many calls. Raises OutOfBudget if that is after the deadline. The caller must send at once."""
        remaining = deadline - asyncio.get_running_loop().time()
        while wait := self.budget.wait(questions):
            remaining -= wait
            if remaining < 0:
                raise OutOfBudget(self.name, "has reached its plan's requests per second")
            await self._clock.sleep(wait)

    async def _verify(self, timeout: float) -> None:
        chain_id = self._quantity(await self._request("eth_chainId", [], timeout))
        if chain_id != self._chain_id:
            self.head = None
            error = WrongChain(self.name, f"serves chain {chain_id}, not {self._chain_id}; it is not used")
            self.cooldown.wrong_chain(error, chain_id, self._chain_id)
            raise error
        self.cooldown.mark_verified()
        self.retention.forget()

    async def _request(self, method: str, params: list[Any], timeout: float) -> Any:
        self._calls[self.name, method] += 1
        self.requests += 1
        self.budget.spend(method)
        began = self._clock.monotonic()
        outcome = "cancelled"
        try:
            result = await exchange(self._session(), self.config, next(self._ids), method, params, timeout)
            outcome = "ok"
        except NodeError as error:
            outcome = error.kind
            self.errors[error.kind] += 1
            # For eth_getLogs the range may be the reason: the reader tries a smaller one, and records the error if that fails too.
            if not (isinstance(error, LimitExceeded) and method == "eth_getLogs"):
                self.cooldown.record_error(error)
            raise
        finally:
            seconds = self._clock.monotonic() - began
            self._metrics.request(self.name, method, outcome, seconds)
        self.latency.record(seconds)
        self.cooldown.failures = 0
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
            outcomes = [outcome.kind if isinstance(outcome, NodeError) else "ok" for outcome in results]
        except NodeError as error:
            outcomes = [error.kind] * len(calls)
            self.cooldown.record_error(error)
            raise
        finally:
            for (method, _), outcome in zip(calls, outcomes, strict=True):
                self._metrics.request(self.name, method, outcome, self._clock.monotonic() - began)
            self.errors.update(kind for kind in outcomes if kind not in {"ok", "cancelled"})
        errors = [outcome for outcome in results if isinstance(outcome, NodeError)]
        self.cooldown.failures = 0 if len(errors) < len(results) else self.cooldown.failures
        # One batch begins one cooldown, however many of its answers show the error.
        for kind in (RateLimited, Malformed):
            cause = next((error for error in errors if isinstance(error, kind)), None)
            if cause is not None:
                self.cooldown.record_error(cause)
                break
        return results

    def _quantity(self, value: Any) -> int:
        try:
            return quantity(value)
        except ValueError:
            pass
        error = Malformed(self.name, "the answer is not a number")
        self.cooldown.record_error(error)
        raise error
