"""Bearer tokens in requests."""

import pytest
from aiohttp.test_utils import make_mocked_request

from kit.http.bearer import MAX_TOKEN, bearer_token, unauthorized


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER   abc ", "abc"),
        ("Basic abc", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearer \u00fcbel", None),
        ("Bearer " + "a" * MAX_TOKEN, "a" * MAX_TOKEN),
        ("Bearer " + "a" * (MAX_TOKEN + 1), None),
    ],
)
def test_the_token_of_a_bearer_header(header: str, token: str | None) -> None:
    assert bearer_token(make_mocked_request("GET", "/", headers={"Authorization": header})) == token


def test_no_header_is_no_token() -> None:
    assert bearer_token(make_mocked_request("GET", "/")) is None


def test_unauthorized_names_the_scheme() -> None:
    problem = unauthorized()
    assert (problem.status, problem.headers["WWW-Authenticate"]) == (401, "Bearer")
