"""The header `Retry-After`, as a number or a date."""

from datetime import UTC, datetime

import pytest

from kit.http.retry_after import retry_after_seconds

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("0", 0.0),
        ("-5", 0.0),
        ("2.5", 2.5),
        ("120", 120.0),
        ("Tue, 01 Dec 2026 12:01:00 GMT", 60.0),
        ("Tue, 01 Dec 2026 11:00:00 GMT", 0.0),
    ],
)
def test_a_number_and_a_date_become_seconds_and_anything_else_none(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds
