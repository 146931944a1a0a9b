"""What can be told to go wrong: with the API's answers, and with the delivery of events."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from onramp.dev.stripe.errors import StripeError


class FaultKind(StrEnum):
    """How one request fails. `before`: nothing was done, nothing is stored under its key."""

    RATE_LIMITED = "429"
    BEFORE = "500_before"
    STORED = "500_stored"
    """Nothing was done, yet the failure is stored and given again."""
    AFTER = "500_after"
    """It was done; the failure is stored and given again."""
    RESET = "reset"
    """The connection ends without an answer, before anything was done."""
    DROP = "drop"
    """It was done; the connection ends in the middle of the body."""
    TIMEOUT_AFTER = "timeout_after"
    """It was done; the answer comes after `seconds`."""
    SLOW = "slow"
    """It is done after `seconds`; until then its key is in use."""
    REDIRECT = "302"
    DISABLED = "disabled"
    """Session minting is stopped; by the code `crypto_onramp_disabled`, too."""
    HTML = "html"
    """A gateway's page with 502 in the place of Stripe's JSON."""
    ERROR = "error"
    """Any other of Stripe's errors, by `status`, `code` and `type`."""

    @classmethod
    def _missing_(cls, value: object) -> "FaultKind | None":
        return cls.DISABLED if value == "crypto_onramp_disabled" else None


class Fault(BaseModel):
    """One kind, for the next `count` requests whose path starts with `path` and whose method is `method`, where given."""

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
    message: str = "The sandbox was told to answer so."

    def refusal(self) -> StripeError | None:
        """The answer of a fault that happens before anything is done."""
        match self.kind:
            case FaultKind.RATE_LIMITED:
                headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
                return StripeError(429, "rate_limit", "Too many requests.", kind="rate_limit_error", headers=headers)
            case FaultKind.BEFORE:
                return broken()
            case FaultKind.DISABLED:
                return StripeError(400, "crypto_onramp_disabled", "Session minting is stopped.", kind="api_error")
            case FaultKind.ERROR:
                return StripeError(self.status, self.code, self.message, kind=self.type)
            case _:
                return None


def broken() -> StripeError:
    """Stripe's 500."""
    return StripeError(500, None, "An unknown error occurred.", kind="api_error")


class Faults:
    """The faults to come, taken in the order they were set."""

    def __init__(self) -> None:
        """None."""
        self.waiting: list[Fault] = []

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this request, which uses it up by one."""
        for fault in self.waiting:
            if path.startswith(fault.path) and fault.method in {None, method}:
                fault.count -= 1
                if not fault.count:
                    self.waiting.remove(fault)
                return fault
        return None


class Chaos(BaseModel):
    """How deliveries misbehave. Numbers count down with each event (`lose`) or attempt; rates are between 0 and 1."""

    model_config = ConfigDict(extra="forbid")

    duplicate: bool = False
    """Every event arrives twice, with the same id."""
    twin: bool = False
    """Every change makes two events with different ids."""
    reverse: bool = False
    """The events of one walk arrive last first."""
    lose: int = Field(default=0, ge=0)
    stale: int = Field(default=0, ge=0)
    """Attempts signed with a time an hour ago."""
    wrong_secret: int = Field(default=0, ge=0)
    delay: float = Field(default=0.0, ge=0)
    """Seconds before an event's first attempt."""
    jitter: float = Field(default=0.0, ge=0)
    """Up to so many seconds more, by chance: events overtake each other."""
    lose_rate: float = Field(default=0.0, ge=0, le=1)
    duplicate_rate: float = Field(default=0.0, ge=0, le=1)
