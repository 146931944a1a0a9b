"""Parse `treasury.toml` into a policy. All mistakes are listed at once, each with its line."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from chain.types import Address, to_checksum
from kit.money import parse_units
from treasury.core.asset_policy import AssetPolicy, SweepLimits
from treasury.core.assets import (
    GAS_ASSET,
    GAS_DECIMALS,
    GWEI_DECIMALS,
    MUSD,
    MUSD_DECIMALS,
    NATIVE,
    NATIVE_AS_TOKEN,
    USDC,
    USDC_DECIMALS,
)
from treasury.policy.model import UNLIMITED, ContractLimits, PayoutLimits, Policy

DEVELOPMENT: Final = """\
[payouts]
approval_above = "10000"
max_per_transaction = "10000"
max_per_day = "100000"
[sweeps]
approval_above = "5000"
max_per_transaction = "20000"
max_per_day = "100000"
min = "100"
approval_expires_hours = 24
every_minutes = 0
[assets.MUSD]
floor = "5000"
target = "15000"
ceiling = "20000"
[assets.BTC]
floor = "0.001"
[fees]
max_fee_gwei = "50"
"""
"""The policy of a development service without a file. It sweeps nothing on schedule."""

_KEY: Final = re.compile(r"""\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*=""")
_TABLE: Final = re.compile(r"\s*\[([^\[\]]+)\]")
SYMBOL: Final = r"[A-Za-z0-9.]{1,16}"
"""The names that an asset may have, as a regular expression."""
_LIMITS: Final = ("approval_above", "max_per_transaction", "max_per_day")
_SWEEP_LIMITS: Final = (*_LIMITS, "min")
MAX_BATCH: Final = 200
"""The most payments that one transaction may make, whatever a block could hold."""
MAX_DECIMALS: Final = 36


class PolicyError(Exception):
    """The file cannot be used; `problems` holds a sentence for each mistake, with its line if it has one."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def lines_of(text: str) -> dict[str, int]:
    """Return the line number of each table and each key, by dotted name."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = _TABLE.match(line)
        if header is not None:
            table = ".".join(part.strip().strip("\"'") for part in header[1].split("."))
            lines.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key is not None:
            name = key[1] or key[2] or key[3]
            lines.setdefault(f"{table}.{name}" if table else name, number)
    return lines


def parse(text: str, *, musd: Address) -> Policy:
    """Return the policy in `text`; `musd` is the address of MUSD. Raises PolicyError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError([f"it is not valid TOML: {error}"]) from error
    reader = _Reader(document, lines_of(text), to_checksum(musd))
    policy = reader.policy()
    if reader.problems or policy is None:
        raise PolicyError([problem for _, problem in sorted(reader.problems, key=lambda item: item[0])])
    return policy


class _Reader:
    def __init__(self, document: Mapping[str, Any], lines: Mapping[str, int], musd: Address) -> None:
        self._document = document
        self._lines = lines
        self._musd = musd
        self.problems: list[tuple[int, str]] = []
        self._absent: set[str] = set()

    def policy(self) -> Policy | None:
        """Return the policy; None if there are `problems`."""
        self._unknown("", self._document, {"payouts", "sweeps", "assets", "fees"})
        payouts, contract = self._payouts()
        sweeps = self._table("sweeps")
        self._unknown("sweeps", sweeps, {*_SWEEP_LIMITS, "approval_expires_hours", "every_minutes"})
        limits = SweepLimits(
            approval_above=self._amount("sweeps", sweeps, "approval_above"),
            max_per_transaction=self._amount("sweeps", sweeps, "max_per_transaction"),
            max_per_day=self._amount("sweeps", sweeps, "max_per_day"),
            min=self._amount("sweeps", sweeps, "min"),
        )
        self._fit_limits("sweeps", limits)
        hours = self._whole("sweeps", sweeps, "approval_expires_hours", 1, 24 * 30)
        minutes = self._whole("sweeps", sweeps, "every_minutes", 0, 60 * 24 * 7)
        assets = self._assets(limits)
        fees = self._table("fees")
        self._unknown("fees", fees, {"max_fee_gwei"})
        max_fee = self._amount("fees", fees, "max_fee_gwei", GWEI_DECIMALS)
        if not max_fee and not self.problems:
            self._add_problem("fees.max_fee_gwei", "must be above zero: nothing could be signed")
        return None if self.problems else Policy(payouts, hours, minutes, assets, max_fee, contract)

    def _payouts(self) -> tuple[PayoutLimits, ContractLimits]:
        table = self._table("payouts")
        self._unknown("payouts", table, {*_LIMITS, "max_batch", "max_allowance"})
        limits = PayoutLimits(*(self._amount("payouts", table, name) for name in _LIMITS))
        if limits.max_per_transaction > limits.max_per_day:
            self._add_problem("payouts.max_per_transaction", "is above payouts.max_per_day")
        return limits, self._contract(table)

    def _contract(self, table: Mapping[str, Any]) -> ContractLimits:
        limits = ContractLimits()
        if "max_batch" in table:
            limits = replace(limits, max_batch=self._whole("payouts", table, "max_batch", 1, MAX_BATCH))
        if "max_allowance" in table:
            unlimited = table["max_allowance"] == "unlimited"
            allowance = UNLIMITED if unlimited else self._amount("payouts", table, "max_allowance")
            if allowance > UNLIMITED:
                self._add_problem("payouts.max_allowance", 'is more than a token can count: write "unlimited"')
            limits = replace(limits, max_allowance=allowance)
        return limits

    def _assets(self, musd_limits: SweepLimits) -> dict[str, AssetPolicy]:
        assets: dict[str, AssetPolicy] = {}
        tables = self._table("assets")
        if MUSD not in tables:
            self._add_problem("assets", f"has no table assets.{MUSD}")
        tokens: set[Address] = set()
        for symbol, table in tables.items():
            where = f"assets.{symbol}"
            if not isinstance(table, dict) or re.fullmatch(SYMBOL, symbol) is None:
                self._add_problem(where, "must be a table named by a symbol, such as [assets.USDC]")
                continue
            asset = self._asset(symbol, table, musd_limits)
            if asset.token in tokens:
                self._add_problem(where, "has the address of another asset: its coins would be counted twice")
            tokens.add(asset.token)
            assets[symbol] = asset
        return assets

    def _asset(self, symbol: str, table: Mapping[str, Any], musd_limits: SweepLimits) -> AssetPolicy:
        where = f"assets.{symbol}"
        own = {"address", "decimals"} if symbol not in {MUSD, GAS_ASSET} else set()
        limits = set(_SWEEP_LIMITS) if symbol != MUSD else set()
        self._unknown(where, table, {"floor", "target", "ceiling"} | own | limits)
        token, decimals = self._token(symbol, table)
        floor = self._amount(where, table, "floor", decimals)
        target, ceiling = (
            self._amount(where, table, name, decimals) if name in table else None for name in ("target", "ceiling")
        )
        if target is not None and target < floor:
            self._add_problem(f"{where}.target", f"is below {where}.floor")
        if ceiling is not None and (target is None or ceiling <= target):
            self._add_problem(f"{where}.ceiling", f"must be above {where}.target, or the sweeper would run for nothing")
        sweeps = musd_limits
        if symbol != MUSD:
            approval, per_transaction, daily, minimum = (
                self._amount(where, table, name, decimals) if name in table else None for name in _SWEEP_LIMITS
            )
            sweeps = SweepLimits(approval or 0, per_transaction, daily, minimum)
            self._fit_limits(where, sweeps)
        return AssetPolicy(symbol, token, decimals, floor, target, ceiling, sweeps)

    def _fit_limits(self, where: str, limits: SweepLimits) -> None:
        per_transaction, daily, minimum = limits.max_per_transaction, limits.max_per_day, limits.min
        if per_transaction is not None and daily is not None and per_transaction > daily:
            self._add_problem(f"{where}.max_per_transaction", f"is above {where}.max_per_day")
        if per_transaction is not None and minimum is not None and minimum > per_transaction:
            self._add_problem(f"{where}.min", f"is above {where}.max_per_transaction")

    def _token(self, symbol: str, table: Mapping[str, Any]) -> tuple[Address, int]:
        if symbol == MUSD:
            return self._musd, MUSD_DECIMALS
        if symbol == GAS_ASSET:
            return NATIVE, GAS_DECIMALS
        where = f"assets.{symbol}"
        decimals = self._whole(where, table, "decimals", 0, MAX_DECIMALS)
        if symbol == USDC and decimals != USDC_DECIMALS:
            self._add_problem(
                f"{where}.decimals", f"must be {USDC_DECIMALS}, as the ledger counts USDC; name another token otherwise"
            )
        try:
            token = to_checksum(table.get("address", ""))
        except (ValueError, TypeError, AttributeError):
            self._add_problem(
                f"{where}.address", "must be the token's address, 0x and 40 hex digits with a valid checksum"
            )
            return symbol, decimals
        if token in {NATIVE, NATIVE_AS_TOKEN}:
            self._add_problem(f"{where}.address", "is the gas token's, which is assets.BTC: it would be counted twice")
        return token, decimals

    def _table(self, name: str) -> Mapping[str, Any]:
        table = self._document.get(name)
        if isinstance(table, dict):
            return table
        self._absent.add(name)
        self._add_problem(name, "is missing: a table is expected" if table is None else "must be a table")
        return {}

    def _amount(self, where: str, table: Mapping[str, Any], name: str, decimals: int = MUSD_DECIMALS) -> int:
        value = table.get(name)
        if not isinstance(value, str):
            if where not in self._absent:
                self._add_problem(f"{where}.{name}", "is missing" if value is None else 'must be text such as "100.50"')
            return 0
        try:
            return parse_units(value, decimals)
        except ValueError as error:
            self._add_problem(f"{where}.{name}", str(error))
            return 0

    def _whole(self, where: str, table: Mapping[str, Any], name: str, low: int, high: int) -> int:
        value = table.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        if where not in self._absent:
            self._add_problem(f"{where}.{name}", f"must be a whole number from {low} to {high}")
        return low

    def _unknown(self, where: str, table: Mapping[str, Any], known: set[str]) -> None:
        for name in table:
            if name not in known:
                self._add_problem(
                    f"{where}.{name}" if where else name, f"is unknown; known are {', '.join(sorted(known))}"
                )

    def _add_problem(self, name: str, problem: str) -> None:
        """Add a problem at the line of `name`, or else of its table."""
        line = self._lines.get(name) or self._lines.get(name.rpartition(".")[0]) or 0
        self.problems.append((line, f"line {line}: {name} {problem}" if line else f"{name} {problem}"))


def fit_session_max(policy: Policy, session_max_minor: int) -> list[str]:
    """Return a sentence for each limit of the policy that a purchase of SESSION_MAX_AMOUNT (hundredths) would exceed.

    The limits are the payouts' `max_per_transaction` and the ceiling of MUSD. The service starts only if the result is empty.
    """
    largest = session_max_minor * 10 ** (MUSD_DECIMALS - 2)
    problems = []
    if largest > policy.payouts.max_per_transaction:
        problems.append("SESSION_MAX_AMOUNT is above payouts.max_per_transaction of the policy")
    ceiling = policy.assets[MUSD].ceiling
    if ceiling is not None and largest > ceiling:
        problems.append("SESSION_MAX_AMOUNT is above assets.MUSD.ceiling of the policy: the stock would never suffice")
    return problems
