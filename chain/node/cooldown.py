"""What a node's answers make of it: used, left alone for a while, or serving another chain.

A node rests by itself and is verified again by its next call: nothing here asks anything.
"""

from typing import Final, Literal

from chain.errors import NodeError, NodeTimeout, RateLimited, Unreachable, WrongChain
from chain.node.metrics import ChainMetrics
from kit.clock import Clock
from kit.logs import get_logger

log = get_logger(__name__)

State = Literal["untested", "ok", "cooling", "rate_limited", "wrong_chain"]

_FIRST_REST: Final = 0.5
_MAX_REST: Final = 10.0
_RATE_REST: Final = 2.0
_WRONG_CHAIN_REST: Final = 30.0


class Cooldown:
    """The rests of one node, by name."""

    def __init__(self, name: str, clock: Clock, metrics: ChainMetrics) -> None:
        """Nothing is known yet: untested."""
        self.failures = 0
        """In a row."""
        self.last_error: str | None = None
        self.verified = False
        """It showed its chain id since it was last away."""
        self._name = name
        self._clock = clock
        self._metrics = metrics
        self._state: State = "untested"
        self._until = 0.0

    @property
    def over(self) -> bool:
        """It may be asked now."""
        return self._clock.monotonic() >= self._until

    @property
    def seconds_left(self) -> float:
        """Seconds until it may be asked."""
        return max(self._until - self._clock.monotonic(), 0.0)

    @property
    def state(self) -> State:
        """How it stands; a rest that is over has brought it back to untested."""
        if self._state in {"cooling", "rate_limited"} and self.over:
            return "untested"
        return self._state

    @property
    def limited(self) -> bool:
        """Has asked for fewer requests and its wait is not over."""
        return self._state == "rate_limited" and not self.over

    def mark_verified(self) -> None:
        """It serves our chain."""
        if self._state != "ok":
            log.info("chain.node_up", node=self._name, before=self._state)
        self.verified = True
        self._state = "ok"
        self._metrics.health(self._name, up=True)

    def wrong_chain(self, error: WrongChain, found: int, expected: int) -> None:
        """It serves another chain."""
        self._state = "wrong_chain"
        self._until = self._clock.monotonic() + _WRONG_CHAIN_REST
        self._remember(error)
        log.error("chain.wrong_chain", node=self._name, expected=expected, found=found)

    def record_error(self, error: NodeError) -> None:
        """Let an error rest the node where the node is at fault, not the question.

        An error inside a JSON-RPC answer (it carries a code) never counts as an outage: whoever can choose a contract
        to be called could otherwise make every node look dead.
        """
        if isinstance(error, RateLimited):
            self.failures += 1
            wait = error.retry_after
            self._begin("rate_limited", _RATE_REST * min(2 ** (self.failures - 1), 32) if wait is None else wait, error)
        elif isinstance(error, Unreachable | NodeTimeout) and error.code is None:
            self.failures += 1
            self._begin("cooling", min(_FIRST_REST * 2 ** min(self.failures - 1, 10), _MAX_REST), error)

    def _begin(self, state: State, seconds: float, error: NodeError) -> None:
        if self._state != state:
            log.warning(
                "chain.node_down", node=self._name, state=state, kind=error.kind, detail=error.detail, seconds=seconds
            )
        self._state = state
        self._until = self._clock.monotonic() + seconds
        # After the wait the chain id is asked again, and that brings the state back to ok.
        self.verified = False
        self._remember(error)

    def _remember(self, error: NodeError) -> None:
        self.last_error = str(error)
        self._metrics.health(self._name, up=False)
