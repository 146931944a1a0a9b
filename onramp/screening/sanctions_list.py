"""The list of sanctioned addresses: a file that is read again when it changes; if it cannot be read, its last valid content stays in use."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from kit.alarms.alarms import LocalAlarms
from kit.clock import Clock
from kit.entry_limiter import EntryLimiter
from kit.logs import get_logger
from onramp.screening.oracle import SanctionsOracle

log = get_logger(__name__)
CHECK_EVERY: Final = 2.0
"""Seconds between two checks whether the file changed, each one system call."""
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


class ListError(Exception):
    """The file cannot be used; the text says why, without naming an address."""


@dataclass(frozen=True, slots=True)
class _Version:
    """The properties by which a version of the file is recognized; `changed_at` in Unix seconds."""

    changed_at: float
    size: int
    inode: int


class ScreeningMetrics:
    """Metrics of the screening: the list's age and size, and refused purchases."""

    def __init__(self, registry: CollectorRegistry) -> None:
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
    """Screens addresses by the list and the oracle.

    `address in screening` is true if this address, in any case of letters, must neither be sold to nor paid.
    """

    def __init__(
        self,
        path: str,
        clock: Clock,
        metrics: ScreeningMetrics,
        oracle: SanctionsOracle | None = None,
        alarms: LocalAlarms | None = None,
    ) -> None:
        """Prepare to screen; without `alarms`, alarms are only logged. With an empty `path` only the oracle lists addresses. The file is read at the first use."""
        self._oracle = oracle
        self._alarms = LocalAlarms() if alarms is None else alarms
        self._path = Path(path) if path else None
        self._clock = clock
        self.metrics = metrics
        self.noted = EntryLimiter(clock)
        self._listed: frozenset[str] = frozenset()
        self._read: _Version | None = None
        self._refused: _Version | str | None = None
        self._checked_at = float("-inf")
        metrics.age.set_function(self._age)
        metrics.addresses.set_function(lambda: len(self._current()))

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, str):
            return False
        return address.lower() in self._current() or (self._oracle is not None and address in self._oracle)

    async def ask(self, addresses: Collection[str], *, refresh: bool = False) -> set[str]:
        """Ask the oracle, if there is one, before `in` is used; return the addresses for which it could not be asked.

        Its answers are cached for a minute; `refresh` asks again. No transaction may be open, because nodes are called.
        """
        return set() if self._oracle is None else await self._oracle.ask(addresses, refresh=refresh)

    def load(self) -> int:
        """Read the file now; return how many addresses it holds (0 without a file). Raises ListError, and then the previous content stays in use."""
        self._checked_at = self._clock.monotonic()
        if self._path is None:
            return 0
        try:
            version = _version_of(self._path)
            listed = parse(self._path.read_bytes())
        except OSError as error:
            raise ListError(f"the file cannot be read ({error.strerror or type(error).__name__})") from error
        self._listed, self._read, self._refused = listed, version, None
        self.metrics.unreadable.set(0)
        self._alarms.clear("screening.list_unreadable", self._path.name)
        return len(listed)

    def _current(self) -> frozenset[str]:
        if self._path is not None and self._clock.monotonic() - self._checked_at >= CHECK_EVERY:
            self._reload_if_changed(self._path)
        return self._listed

    def _reload_if_changed(self, path: Path) -> None:
        self._checked_at = self._clock.monotonic()
        version: _Version | str
        try:
            version = _version_of(path)
        except OSError as error:
            version = error.strerror or type(error).__name__
        if version == self._read and self._refused is None:
            return
        if version == self._refused:
            return  # logged already
        try:
            count = self.load()
        except ListError as error:
            self._refused = version
            self.metrics.unreadable.set(1)
            facts = {"reason": str(error), "still_in_use": len(self._listed)}
            self._alarms.raise_alarm("screening.list_unreadable", self._path.name if self._path else "", **facts)
            return
        log.info("screening.list_read", addresses=count)

    def _age(self) -> float:
        self._current()
        return float("nan") if self._read is None else max(0.0, self._clock.now().timestamp() - self._read.changed_at)


def parse(data: bytes) -> frozenset[str]:
    """Return the addresses in lower case; the file has one address on each line, and `#` starts a comment. Raises ListError with the line number.

    An invalid line, or a file without an address, is a mistake or an incomplete copy: it must not be taken for a shorter list.
    """
    try:
        lines = data.decode().lstrip("\ufeff").splitlines()
    except UnicodeDecodeError as error:
        raise ListError("the file is not UTF-8 text") from error
    addresses = set()
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        if not _ADDRESS.fullmatch(text):
            raise ListError(f"line {number} is not an address of the form 0x and 40 hex digits")
        addresses.add(text.lower())
    if not addresses:
        raise ListError("the file holds no address")
    return frozenset(addresses)


def _version_of(path: Path) -> _Version:
    stat = path.stat()
    return _Version(stat.st_mtime_ns / 1e9, stat.st_size, stat.st_ino)
