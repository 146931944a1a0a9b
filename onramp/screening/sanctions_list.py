"""The list of addresses that may not be paid: a file, read again when it changes, its last good state kept when it cannot be read."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from kit.clock import Clock
from kit.entry_limiter import EntryLimiter
from kit.logs import get_logger
from onramp.screening.oracle import SanctionsOracle

log = get_logger(__name__)
LOOK_EVERY: Final = 2.0
"""Seconds between two looks at the file: one system call."""
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


class ListError(Exception):
    """The file cannot be used; the text says why, without an address."""


@dataclass(frozen=True, slots=True)
class _File:
    """Which state of the file this is; `changed_at` in seconds since the epoch."""

    changed_at: float
    size: int
    inode: int


class ScreeningMetrics:
    """How old the list is, and whom it stopped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare the families."""
        self.age = Gauge(
            "onramp_screening_list_age_seconds",
            "Since the file of the list in use was last changed; NaN: no list is in use.",
            registry=registry,
        )
        self.addresses = Gauge("onramp_screening_list_addresses", "Addresses on the list in use.", registry=registry)
        self.unreadable = Gauge(
            "onramp_screening_list_unreadable", "1 while the file cannot be read, and an older state is used.",
            registry=registry,
        )  # fmt: skip
        self.refused = Counter("onramp_screening_refused_total", "Purchases refused at create.", registry=registry)


class Screening:
    """`address in screening`: whether nobody may sell to or pay this address. Any case of letters is the same address."""

    def __init__(
        self, path: str, clock: Clock, metrics: ScreeningMetrics, oracle: SanctionsOracle | None = None
    ) -> None:
        """`path` empty: nobody is listed, but by the oracle. Nothing is read yet."""
        self._oracle = oracle
        self._path = Path(path) if path else None
        self._clock = clock
        self.metrics = metrics
        self.noted = EntryLimiter(clock)
        self._listed: frozenset[str] = frozenset()
        self._read: _File | None = None
        self._refused: _File | str | None = None
        self._looked = float("-inf")
        metrics.age.set_function(self._age)
        metrics.addresses.set_function(lambda: len(self._current()))

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, str):
            return False
        return address.lower() in self._current() or (self._oracle is not None and address in self._oracle)

    async def ask(self, addresses: Collection[str], *, anew: bool = False) -> set[str]:
        """Ask the oracle, where there is one, before `in` is asked; those of whom nothing can be said now.

        Its answers are kept for a minute, unless they are wanted `anew`. No transaction may be open: nodes are asked.
        """
        return set() if self._oracle is None else await self._oracle.ask(addresses, anew=anew)

    def load(self) -> int:
        """Read the file now; how many addresses it holds. Raises ListError, and then what was read before stays in use."""
        self._looked = self._clock.monotonic()
        if self._path is None:
            return 0
        try:
            seen = _look(self._path)
            listed = parse(self._path.read_bytes())
        except OSError as error:
            raise ListError(f"the file cannot be read ({error.strerror or type(error).__name__})") from error
        self._listed, self._read, self._refused = listed, seen, None
        self.metrics.unreadable.set(0)
        return len(listed)

    def _current(self) -> frozenset[str]:
        if self._path is not None and self._clock.monotonic() - self._looked >= LOOK_EVERY:
            self._look_again(self._path)
        return self._listed

    def _look_again(self, path: Path) -> None:
        self._looked = self._clock.monotonic()
        state: _File | str
        try:
            state = _look(path)
        except OSError as error:
            state = error.strerror or type(error).__name__
        if state == self._read and self._refused is None:
            return
        if state == self._refused:
            return  # it was said already
        try:
            count = self.load()
        except ListError as error:
            self._refused = state
            self.metrics.unreadable.set(1)
            log.critical("screening.list_unreadable", reason=str(error), still_in_use=len(self._listed))
            return
        log.info("screening.list_read", addresses=count)

    def _age(self) -> float:
        self._current()
        return float("nan") if self._read is None else max(0.0, self._clock.now().timestamp() - self._read.changed_at)


def parse(data: bytes) -> frozenset[str]:
    """The addresses, in lower case: one a line, `#` begins a comment. Raises ListError with the line's number.

    A line that is no address, and a file without any, is a mistake or half a copy: neither may be taken for a shorter list.
    """
    try:
        lines = data.decode().lstrip("\ufeff").splitlines()
    except UnicodeDecodeError as error:
        raise ListError("the file is not UTF-8 text") from error
    found = set()
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        if not _ADDRESS.fullmatch(text):
            raise ListError(f"line {number} is not an address of the form 0x and 40 hex digits")
        found.add(text.lower())
    if not found:
        raise ListError("the file holds no address")
    return frozenset(found)


def _look(path: Path) -> _File:
    seen = path.stat()
    return _File(seen.st_mtime_ns / 1e9, seen.st_size, seen.st_ino)
