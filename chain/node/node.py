"""One node: its client, its health, its newest block, and the proof that it serves our chain.

A node is asked for its chain id before its first use and after each recovery: a URL may come back from an outage as
another chain.
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
        """The name alone."""
        return f"<Node {self.name} {self.state}>"

    @property
    def state(self) -> State:
        """How it stands; a rest that is over has brought it back to untested."""
        return self.cooldown.state

    @property
    def quarantined(self) -> bool:
        """Said otherwise than the others, and has not taken all of it back."""
        return bool(self.disagreements)

    @property
    def usable(self) -> bool:
        """May be asked now: it works, or its rest is over and a call will show."""
        return self.cooldown.over

    def covers(self, block: int) -> bool:
        """Its own newest block, as last told, is `block` or later."""
        return self.head is not None and self.head >= block

    @property
    def limited(self) -> bool:
        """Has asked for fewer requests and its wait is not over."""
        return self.cooldown.limited

    @property
    def wrong_chain(self) -> bool:
        """Serves another chain, as far as it was last asked."""
        return self.cooldown.state == "wrong_chain"

    @property
    def max_batch(self) -> int:
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
        """Wait until it may be asked; the seconds that are left. Raises NodeError."""
        if self.cooldown.limited:
            error = RateLimited(self.name, "is left alone because it asked for fewer requests")
            error.retry_after = self.cooldown.seconds_left
            raise error
        if not self.budget.allows(vital=True):
            raise OutOfBudget(self.name, "has used the month's credits")
        limit = self._timeout if timeout is None else timeout
        if self.cooldown.verified and not self.budget.plan.per_second:
            return limit
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit
        if not self.cooldown.verified:
            await self._prove(deadline)
        await self._token(deadline, questions)
        return max(deadline - loop.time(), MIN_TIMEOUT)

    async def _prove(self, deadline: float) -> None:
        """Ask for the chain id, once for all who wait for it. Who waits in vain says so; who asks in vain lets the node rest, too."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                await self._verifying.acquire()
        except TimeoutError:
            raise NodeTimeout(self.name, "has not told its chain id in time") from None
        try:
            if not self.cooldown.verified:
                await self._token(deadline)
                await self._verify(max(deadline - loop.time(), MIN_TIMEOUT))
        finally:
            self._verifying.release()

    async def _token(self, deadline: float, questions: int = 1) -> None:
        """Wait until the plan allows so many, if that is before the deadline. Who returns from here asks at once."""
        left = deadline - asyncio.get_running_loop().time()
        while wait := self.budget.wait(questions):
            left -= wait
            if left < 0:
                raise OutOfBudget(self.name, "is asked as often a second as its plan allows")
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
            # Of eth_getLogs it may be the range that is too large: the reader asks for less, and judges then.
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
            outcomes = [one.kind if isinstance(one, NodeError) else "ok" for one in results]
        except NodeError as error:
            outcomes = [error.kind] * len(calls)
            self.cooldown.record_error(error)
            raise
        finally:
            for (method, _), outcome in zip(calls, outcomes, strict=True):
                self._metrics.request(self.name, method, outcome, self._clock.monotonic() - began)
            self.errors.update(kind for kind in outcomes if kind not in {"ok", "cancelled"})
        errors = [one for one in results if isinstance(one, NodeError)]
        self.cooldown.failures = 0 if len(errors) < len(results) else self.cooldown.failures
        # What rests a node rests it once, however many of its answers show it.
        for kind in (RateLimited, Malformed):
            shown = next((one for one in errors if isinstance(one, kind)), None)
            if shown is not None:
                self.cooldown.record_error(shown)
                break
        return results

    def _quantity(self, value: Any) -> int:
        try:
            return quantity(value)
        except ValueError:
            pass
        error = Malformed(self.name, "a number was expected and something else came")
        self.cooldown.record_error(error)
        raise error
