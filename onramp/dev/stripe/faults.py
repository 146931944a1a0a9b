"""Faults that a test can set: in the API's responses, and in the delivery of events."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from onramp.dev.stripe.errors import StripeError


class FaultKind(StrEnum):
    """The way in which one request fails. `before`: nothing is done, and nothing is stored under its idempotency key."""

    RATE_LIMITED = "429"
    BEFORE = "500_before"
    STORED = "500_stored"
    """Nothing is done, but the failure is stored under the idempotency key and repeated."""
    AFTER = "500_after"
    """The request is done; the failure is stored under the idempotency key and repeated."""
    RESET = "reset"
    """The connection closes without a response, before anything is done."""
    DROP = "drop"
    """The request is done; the connection closes in the middle of the body."""
    TIMEOUT_AFTER = "timeout_after"
    """The request is done; the response comes after `seconds`."""
    SLOW = "slow"
    """The request is done after `seconds`; until then its key is in use."""
    REDIRECT = "302"
    DISABLED = "disabled"
    """Session creation is stopped; `crypto_onramp_disabled` is another name of this fault."""
    HTML = "html"
    """The response is a gateway's 502 page instead of Stripe's JSON."""
    ERROR = "error"
    """The response is any other Stripe error, by `status`, `code` and `type`."""

    @classmethod
    def _missing_(cls, value: object) -> "FaultKind | None":
        return cls.DISABLED if value == "crypto_onramp_disabled" else None


class Fault(BaseModel):
    """A fault of the next `count` requests whose path starts with `path` and, if it is set, whose method is `method`."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    path: str = "/v1/"
    method: str | None = None
    count: int = Field(default=1, ge=1)
    retry_after: int | None = Field(default=None, ge=0)
    seconds: float | None = Field(default=None, ge=0)
    status: int = Field(default=400, ge=400, le=599)
    code: str | None = None
    type: str = "invalid_request_error"
    message: str = "A test set this error."

    def refusal(self) -> StripeError | None:
        """Return the error of a fault that happens before anything is done; None for other faults."""
        match self.kind:
            case FaultKind.RATE_LIMITED:
                headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
                return StripeError(429, "rate_limit", "Too many requests.", kind="rate_limit_error", headers=headers)
            case FaultKind.BEFORE:
                return broken()
            case FaultKind.DISABLED:
                return StripeError(400, "crypto_onramp_disabled", "Session creation is stopped.", kind="api_error")
            case FaultKind.ERROR:
                return StripeError(self.status, self.code, self.message, kind=self.type)
            case _:
                return None


def broken() -> StripeError:
    """Return Stripe's error for a 500 response."""
    return StripeError(500, None, "An unknown error occurred.", kind="api_error")


class Faults:
    """The faults to come, used in the order in which they were set."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that applies to this request, and count it down; None if no fault applies."""
        for fault in self.waiting:
            if path.startswith(fault.path) and fault.method in {None, method}:
                fault.count -= 1
                if not fault.count:
                    self.waiting.remove(fault)
                return fault
        return None


class Chaos(BaseModel):
    """The ways in which webhook deliveries misbehave. Counts go down with each event (`lose`) or attempt; rates are between 0 and 1."""

    model_config = ConfigDict(extra="forbid")

    duplicate: bool = False
    """Every event arrives twice, with the same id."""
    twin: bool = False
    """Every change causes two events with different ids."""
    reverse: bool = False
    """The events of one change arrive in reverse order."""
    lose: int = Field(default=0, ge=0)
    stale: int = Field(default=0, ge=0)
    """How many attempts are signed with a timestamp that is an hour old."""
    wrong_secret: int = Field(default=0, ge=0)
    delay: float = Field(default=0.0, ge=0)
    """Seconds before an event's first attempt."""
    jitter: float = Field(default=0.0, ge=0)
    """The maximum random delay in seconds, which lets events overtake each other."""
    lose_rate: float = Field(default=0.0, ge=0, le=1)
    duplicate_rate: float = Field(default=0.0, ge=0, le=1)
