"""Request and response models of pauses."""

from typing import Literal

from kit.http.documents import Document
from onramp.treasury.schemas.common import HistoryLine, Note


class PauseRequest(Note):
    """The scope to stop or resume. Pausing payouts also stops sales, because nothing is sold that is not delivered."""

    scope: Literal["sales", "payouts", "sweeps", "all"] = "all"


class PauseLine(HistoryLine):
    """One pause or resumption of a scope."""

    scope: str


class ScopeResponse(Document):
    """One paused scope: who paused it, why, and when."""

    scope: str
    by: str
    note: str
    at: str


class PauseResponse(Document):
    """The scopes that are stopped now. `sales` is also true while payouts are paused; `paused` lists the scopes that persons paused."""

    sales: bool
    payouts: bool
    sweeps: bool
    paused: list[ScopeResponse]
    history: list[PauseLine]
