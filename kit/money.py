"""Convert amounts between integers in base units, used everywhere inside, and decimal text, used in requests and responses."""

import re
from dataclasses import dataclass

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,77})(?:\.([0-9]{1,77}))?", re.ASCII)


def parse_units(text: str, decimals: int) -> int:
    """Return a plain decimal such as `99.5` in base units: 99500000 with 6 decimals.

    Raises ValueError, with a text for people, for signs, exponents, spaces, `NaN`, leading zeros, and more decimal places than the unit has.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError("must be a plain decimal number such as 100 or 99.50")
    whole, places = match.group(1), (match.group(2) or "").rstrip("0")
    if len(places) > decimals:
        raise ValueError(f"has more than {decimals} decimal places")
    return int(whole + places.ljust(decimals, "0"))


def format_units(amount: int, decimals: int) -> str:
    """Return base units as plain decimal text: exact, without exponent, with at least two decimal places."""
    sign, digits = ("-", -amount) if amount < 0 else ("", amount)
    whole, fraction = divmod(digits, 10**decimals)
    places = str(fraction).rjust(decimals, "0").rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{places}"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the smallest unit of its currency: with 2 decimals, `Money(9950, "usd")` is 99.50 US dollars."""

    minor: int
    currency: str
    decimals: int = 2

    @property
    def text(self) -> str:
        """The amount as plain decimal text, such as `99.50`."""
        return format_units(self.minor, self.decimals)
