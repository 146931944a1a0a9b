"""How a sandbox is set up, and what it can be told to do wrong."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """One Stripe account in test mode."""

    secret_key: str = field(repr=False)
    publishable_key: str
    webhook_url: str | None
    webhook_secrets: tuple[str, ...] = field(repr=False)
    base_url: str
    """Where the sandbox itself is reached; the hosted page's address starts with it."""
    event_type: str = "crypto.onramp_session.updated"
    retry_seconds: tuple[float, ...] = (0.5, 2.0, 8.0)
    """Waits before an event is sent again; Stripe's own take hours."""
    step_seconds: float = 0.6
    """How long a buyer's payment takes in each state on the hosted page."""
    flat_fields: bool = True
    """False behaves like the first beta surface, which ignores the flat parameters silently."""


@dataclass(slots=True)
class Fault:
    """Something to go wrong: `kind` for the next `count` requests whose path starts with `path`."""

    path: str
    kind: str
    count: int
    retry_after: int | None = None


@dataclass(slots=True)
class Chaos:
    """How deliveries misbehave; counts are for the events to come."""

    duplicate: bool = False
    twin: bool = False
    lose: int = 0
    stale: int = 0
    wrong_secret: int = 0
    delay: float = 0.0
    reverse: bool = False


FAULTS = ("429", "500_before", "500_after", "drop", "timeout_after", "302", "slow", "disabled", "html")
