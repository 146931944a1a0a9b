"""The account's sessions and events, in memory."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from onramp.dev.stripe import form
from onramp.dev.stripe.errors import StripeError, bad, unknown_parameter
from onramp.dev.stripe.session import session_hash

Row = dict[str, Any]
_BOUNDS: Final = ("gt", "gte", "lt", "lte")


class Rows:
    """Objects in order of creation, found by id and read in pages, the newest first."""

    def __init__(self, noun: str) -> None:
        """Start empty; `noun` is the objects' name in errors."""
        self._noun = noun
        self._rows: list[Row] = []
        self._index: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def add(self, row: Row) -> None:
        """Add an object, which is then the newest."""
        self._index[row["id"]] = len(self._rows)
        self._rows.append(row)

    def get(self, row_id: str, param: str = "id") -> Row:
        """Return one object. Raises StripeError 404 for an unknown id."""
        return self._rows[self._index_of(row_id, param)]

    def _index_of(self, row_id: str, param: str) -> int:
        index = self._index.get(row_id)
        if index is None:
            raise StripeError(404, "resource_missing", f"No such {self._noun}: '{row_id}'", param=param)
        return index

    def page(self, query: dict[str, Any], matches: Callable[[Row], bool]) -> tuple[list[Row], bool]:
        """Return a page, and whether there are more objects in its direction."""
        limit = form.integer(query, "limit")
        limit = 10 if limit is None else limit
        if not 1 <= limit <= 100:
            raise bad("parameter_invalid_integer", "This value must be between 1 and 100.", "limit")
        low, high = _created_range(query)
        after, before = form.text(query, "starting_after"), form.text(query, "ending_before")
        if after is not None and before is not None:
            raise bad(None, "You can't pass both starting_after and ending_before.", "ending_before")

        def in_range(row: Row) -> bool:
            return low <= row["created"] <= high and matches(row)

        if before is not None:
            later: Iterable[int] = range(self._index_of(before, "ending_before") + 1, len(self._rows))
            rows = self._take(later, in_range, limit + 1)
            return list(reversed(rows[:limit])), len(rows) > limit
        start = len(self._rows) if after is None else self._index_of(after, "starting_after")
        rows = self._take(range(start - 1, -1, -1), in_range, limit + 1, low)
        return rows[:limit], len(rows) > limit

    def _take(
        self, indexes: Iterable[int], matches: Callable[[Row], bool], count: int, oldest: float = float("-inf")
    ) -> list[Row]:
        rows: list[Row] = []
        for index in indexes:
            row = self._rows[index]
            if len(rows) == count or row["created"] < oldest:
                break
            if matches(row):
                rows.append(row)
        return rows


class Store:
    """The account's sessions, found by id, or by the opaque part of their redirect URL."""

    def __init__(self) -> None:
        self.sessions = Rows("onramp session")
        self._by_hash: dict[str, str] = {}

    def add(self, session: Row) -> None:
        """Add a session."""
        self.sessions.add(session)
        self._by_hash[session_hash(session)] = session["id"]

    def get(self, session_id: str, param: str = "id") -> Row:
        """Return one session. Raises StripeError 404 for an unknown id."""
        return self.sessions.get(session_id, param)

    def by_hash(self, text: str) -> str | None:
        """Return the id of the session with this redirect URL; None if no session has it."""
        return self._by_hash.get(text)


def _created_range(query: dict[str, Any]) -> tuple[float, float]:
    """Return the first and last Unix second that the parameter `created` allows."""
    low, high = float("-inf"), float("inf")
    if isinstance(query.get("created"), str):
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
