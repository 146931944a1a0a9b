"""Content negotiation."""

import pytest

from kit.http.accept import preferred


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*;q=0.5, text/csv", "text/csv"),
        ("text/*, application/json;q=0.9", "text/csv"),
        ("text/csv;q=0, */*;q=0.1", "application/json"),
        ("application/json;q=0.1, TEXT/CSV;Q=0.2", "text/csv"),
        ("text/csv;q=much", None),
        ("image/png", None),
    ],
)
def test_a_client_gets_the_media_type_that_it_prefers(accept: str, answered: str | None) -> None:
    assert preferred(accept, ("application/json", "text/csv")) == answered
