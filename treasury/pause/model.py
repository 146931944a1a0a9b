"""The pauses that persons have ordered, as values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

Scope = Literal["sales", "payouts", "sweeps"]
SCOPES: Final[tuple[Scope, ...]] = ("sales", "payouts", "sweeps")
"""The names of everything that can be paused."""
STOP_SALES: Final[tuple[Scope, ...]] = ("sales", "payouts")
"""The scopes whose pause stops sales: nothing is sold that would not be delivered."""


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause of a scope: who ordered it, when and why. `person` may not resume the scope."""

    scope: Scope
    by: str
    person: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Pauses:
    """All pauses that persons have ordered. Paused payouts pause sales too: nothing is sold that would not be delivered."""

    ordered: tuple[Pause, ...] = ()

    def of(self, scope: Scope) -> Pause | None:
        """Return the pause that was ordered for this scope itself; None if there is none."""
        return next((pause for pause in self.ordered if pause.scope == scope), None)

    @property
    def sales(self) -> bool:
        """Whether sales are paused, by themselves or because payouts are paused."""
        return any(self.of(scope) is not None for scope in STOP_SALES)

    @property
    def payouts(self) -> bool:
        """Whether payouts are paused, so that none may be signed."""
        return self.of("payouts") is not None

    @property
    def sweeps(self) -> bool:
        """Whether sweeps are paused, so that none may be proposed, approved or signed."""
        return self.of("sweeps") is not None

    def stops(self, scope: Scope) -> bool:
        """Return whether `scope` is paused, by itself or by a scope that implies it."""
        return {"sales": self.sales, "payouts": self.payouts, "sweeps": self.sweeps}[scope]
