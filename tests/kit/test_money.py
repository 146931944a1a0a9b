"""Amounts between base units and decimal text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.money import format_units, parse_units


@given(st.integers(0, 2**256 - 1), st.integers(0, 18))
def test_an_amount_survives_being_written_and_read(amount: int, decimals: int) -> None:
    assert parse_units(format_units(amount, decimals), decimals) == amount


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1e3", "NaN", "Infinity", "1.", ".5", "01", " 1", "1 ", "1,5", "0x10", "1_000", "١", "1.001"],
)
def test_an_amount_that_is_not_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|decimal places"):
        parse_units(text, 2)
