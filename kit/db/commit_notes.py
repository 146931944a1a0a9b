"""Facts that are noted while a transaction is open and reported once it has committed, such as for counters in memory.

A counter that is increased inside a transaction would count what is rolled back, or retried, too.
"""

from collections.abc import Callable
from typing import Any, Final

Listener = Callable[[object], None]
"""A function that is called with each fact after the commit. It must be fast, do no I/O, and ignore facts that it does not know."""
_open: Final[dict[int, list[object]]] = {}
"""The facts of each open transaction, by the identity of its connection."""


def begin(conn: Any) -> None:
    """Begin to keep the facts that are noted on this connection."""
    _open[id(conn)] = []


def end(conn: Any) -> list[object]:
    """Stop keeping the facts of this connection, and return them."""
    return _open.pop(id(conn), [])


def note(conn: Any, fact: object) -> None:
    """Keep a fact until the connection's transaction has committed; if it is rolled back, the fact is dropped.

    A connection on which no transaction of `Database.write` is open keeps nothing.
    """
    facts = _open.get(id(conn))
    if facts is not None:
        facts.append(fact)
