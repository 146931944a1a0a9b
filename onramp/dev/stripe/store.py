"""The account's sessions and events: in memory, oldest first."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from onramp.dev.stripe import form
from onramp.dev.stripe.errors import StripeError, bad, unknown_parameter
from onramp.dev.stripe.session import session_hash

Row = dict[str, Any]
_BOUNDS: Final = ("gt", "gte", "lt", "lte")


class Rows:
    """Objects in the order of their making, found by id and read in pages, newest first."""

    def __init__(self, noun: str) -> None:
        """`noun` names them in errors."""
        self._noun = noun
        self._rows: list[Row] = []
        self._place: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def add(self, row: Row) -> None:
        """A new one, the newest."""
        self._place[row["id"]] = len(self._rows)
        self._rows.append(row)

    def get(self, row_id: str, param: str = "id") -> Row:
        """One; raises the 404 Stripe gives."""
        return self._rows[self._find(row_id, param)]

    def _find(self, row_id: str, param: str) -> int:
        place = self._place.get(row_id)
        if place is None:
            raise StripeError(404, "resource_missing", f"No such {self._noun}: '{row_id}'", param=param)
        return place

    def page(self, query: dict[str, Any], matches: Callable[[Row], bool]) -> tuple[list[Row], bool]:
        """A page, and whether there is more in its direction."""
        limit = form.integer(query, "limit")
        limit = 10 if limit is None else limit
        if not 1 <= limit <= 100:
            raise bad("parameter_invalid_integer", "This value must be between 1 and 100.", "limit")
        low, high = _created(query)
        after, before = form.text(query, "starting_after"), form.text(query, "ending_before")
        if after is not None and before is not None:
            raise bad(None, "You can't pass both starting_after and ending_before.", "ending_before")

        def wanted(row: Row) -> bool:
            return low <= row["created"] <= high and matches(row)

        if before is not None:
            places: Iterable[int] = range(self._find(before, "ending_before") + 1, len(self._rows))
            found = self._some(places, wanted, limit + 1)
            return list(reversed(found[:limit])), len(found) > limit
        start = len(self._rows) if after is None else self._find(after, "starting_after")
        found = self._some(range(start - 1, -1, -1), wanted, limit + 1, low)
        return found[:limit], len(found) > limit

    def _some(
        self, places: Iterable[int], wanted: Callable[[Row], bool], count: int, oldest: float = float("-inf")
    ) -> list[Row]:
        found: list[Row] = []
        for place in places:
            row = self._rows[place]
            if len(found) == count or row["created"] < oldest:
                break
            if wanted(row):
                found.append(row)
        return found


class Store:
    """The account's sessions, found by id, or by the opaque part of their redirect address."""

    def __init__(self) -> None:
        """Empty."""
        self.sessions = Rows("onramp session")
        self._by_hash: dict[str, str] = {}

    def add(self, session: Row) -> None:
        """A new one."""
        self.sessions.add(session)
        self._by_hash[session_hash(session)] = session["id"]

    def get(self, session_id: str, param: str = "id") -> Row:
        """One; raises the 404 Stripe gives."""
        return self.sessions.get(session_id, param)

    def by_hash(self, text: str) -> str | None:
        """The id of the session behind a redirect address."""
        return self._by_hash.get(text)


def _created(query: dict[str, Any]) -> tuple[float, float]:
    """The first and last second wanted."""
    low, high = float("-inf"), float("inf")
    given = query.get("created")
    if isinstance(given, str):
        exact = form.integer(query, "created")
        return (low, high) if exact is None else (exact, exact)
    bounds = form.mapping(query, "created")
    for name in bounds:
        if name not in _BOUNDS:
            raise unknown_parameter(f"created[{name}]")
        second = form.integer(bounds, name, "created") or 0
        if name.startswith("g"):
            low = max(low, second + (name == "gt"))
        else:
            high = min(high, second - (name == "lt"))
    return low, high
