"""A node's state as its answers show it: in use, in a cooldown after an error, or serving another chain.

Nothing here sends requests: the first call after a cooldown verifies the node again.
"""

from typing import Final, Literal

from chain.errors import NodeError, NodeTimeout, RateLimited, Unreachable, WrongChain
from chain.node.metrics import ChainMetrics
from kit.clock import Clock
from kit.logs import get_logger

log = get_logger(__name__)

State = Literal["untested", "ok", "cooling", "rate_limited", "wrong_chain"]

_FIRST_COOLDOWN: Final = 0.5
_MAX_COOLDOWN: Final = 10.0
_RATE_LIMIT_COOLDOWN: Final = 2.0
_WRONG_CHAIN_COOLDOWN: Final = 30.0


class Cooldown:
    """The state of one node and the end of its cooldown."""

    def __init__(self, name: str, clock: Clock, metrics: ChainMetrics) -> None:
        """Start as `untested`, with no wait."""
        self.failures = 0
        """How many requests failed in a row."""
        self.last_error: str | None = None
        self.verified = False
        """Whether the node's chain id was checked since its last cooldown."""
        self._name = name
        self._clock = clock
        self._metrics = metrics
        self._state: State = "untested"
        self._until = 0.0

    @property
    def over(self) -> bool:
        """Whether the node may be called now."""
        return self._clock.monotonic() >= self._until

    @property
    def seconds_left(self) -> float:
        """Seconds until the node may be called again; 0 if it may be called now."""
        return max(self._until - self._clock.monotonic(), 0.0)

    @property
    def state(self) -> State:
        """The node's state. `cooling` and `rate_limited` become `untested` when the wait is over; `wrong_chain` stays until the node is verified."""
        if self._state in {"cooling", "rate_limited"} and self.over:
            return "untested"
        return self._state

    @property
    def limited(self) -> bool:
        """Whether the node asked for fewer requests and the wait that follows is not over."""
        return self._state == "rate_limited" and not self.over

    def mark_verified(self) -> None:
        """Record that the node serves the configured chain: its state becomes `ok`."""
        if self._state != "ok":
            log.info("chain.node_up", node=self._name, before=self._state)
        self.verified = True
        self._state = "ok"
        self._metrics.health(self._name, up=True)

    def wrong_chain(self, error: WrongChain, actual: int, expected: int) -> None:
        """Record that the node serves another chain; it is not called for 30 s."""
        self._state = "wrong_chain"
        self._until = self._clock.monotonic() + _WRONG_CHAIN_COOLDOWN
        self._remember(error)
        log.error("chain.wrong_chain", node=self._name, expected=expected, found=actual)

    def record_error(self, error: NodeError) -> None:
        """Begin a cooldown if the error is the node's fault and not the request's.

        An error inside a JSON-RPC answer (it has a code) never counts as an outage: otherwise a stranger who chooses the called
        contract could make every node look dead.
        """
        if isinstance(error, RateLimited):
            self.failures += 1
            wait = error.retry_after
            self._begin(
                "rate_limited",
                _RATE_LIMIT_COOLDOWN * min(2 ** (self.failures - 1), 32) if wait is None else wait,
                error,
            )
        elif isinstance(error, Unreachable | NodeTimeout) and error.code is None:
            self.failures += 1
            self._begin("cooling", min(_FIRST_COOLDOWN * 2 ** min(self.failures - 1, 10), _MAX_COOLDOWN), error)

    def _begin(self, state: State, seconds: float, error: NodeError) -> None:
        if self._state != state:
            log.warning(
                "chain.node_down", node=self._name, state=state, kind=error.kind, detail=error.detail, seconds=seconds
            )
        self._state = state
        self._until = self._clock.monotonic() + seconds
        # The next call after the wait checks the chain id again and sets the state back to ok.
        self.verified = False
        self._remember(error)

    def _remember(self, error: NodeError) -> None:
        self.last_error = str(error)
        self._metrics.health(self._name, up=False)
