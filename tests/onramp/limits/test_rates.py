"""Which client a request counts for, and at which rate; pure."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onramp.bootstrap.app import routes
from onramp.config.loader import SettingsError, load
from onramp.limits.rates import Rate, client_address, kind_of, parse_rate

SECRET = bytes(range(32))
PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # a stranger's header says nothing
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what the client wrote itself is on the left
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["10.9.9.9"], "10.9.9.9"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["[2001:db8:1:2:3:4:5:6]:443"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", [], "2001:db8:1:2::/64"),
        (None, ["198.51.100.1"], "unknown"),
    ],
)
def test_the_client_is_the_right_most_address_that_is_not_a_trusted_proxy(
    peer: str, forwarded: Any, client: str
) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


@given(st.text(max_size=40), st.lists(st.text(max_size=60), max_size=4))
def test_no_header_breaks_the_reading_of_addresses(peer: str, forwarded: list[str]) -> None:
    assert client_address(peer, forwarded, PROXIES)
    assert client_address("10.0.0.1", forwarded, PROXIES)


def test_rates_are_read_in_the_librarys_notation() -> None:
    assert parse_rate("30/minute") == Rate(30, 60)
    assert parse_rate("5 per 10 seconds") == Rate(5, 10)
    assert parse_rate(" ") is None
    with pytest.raises(SettingsError, match="RATE_LIMIT_READ"):
        load(RATE_LIMIT_READ="often")


def test_stripe_and_platforms_are_never_limited_and_every_other_route_is() -> None:
    kinds = {(route.method, route.path): kind_of(route) for route in routes(load())}
    assert kinds["POST", "/api/v1/webhooks/stripe"] is None
    assert kinds["GET", "/health"] is kinds["GET", "/ready"] is kinds["GET", "/metrics"] is None
    assert kinds["POST", "/api/v1/onramp/sessions"] == "create"
    assert kinds["GET", "/api/v1/onramp/sessions/{id}"] == "read"
    assert kinds["POST", "/api/v1/auth/login"] == kinds["POST", "/api/v1/invitations/accept"] == "auth"
    unlimited = {path for (_, path), kind in kinds.items() if kind is None and path.startswith("/api/v1/")}
    assert unlimited == {"/api/v1/webhooks/stripe"}
