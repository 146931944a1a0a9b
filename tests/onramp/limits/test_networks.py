"""Cheap identities do not multiply a limit: addresses of one network, throw-away wallets, and all clients together."""

from typing import Any

import pytest
from pydantic import SecretStr

from chain.types import to_checksum
from kit.clock import SystemClock
from onramp.auth.wallets.tokens import Tokens
from onramp.limits.rates import Rate, at_least
from tests.support.service import Start

SECRET = bytes(range(32))


async def creates(service: Any, *addresses: str) -> list[int]:
    """Return the statuses that these clients, behind a trusted proxy, get when each creates a session."""
    body = {"walletAddress": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", "sourceAmount": "1", "sourceCurrency": "usd"}
    found = []
    for address in addresses:
        headers = {"X-Forwarded-For": address}
        async with service.http.post(f"{service.api}/api/v1/onramp/sessions", json=body, headers=headers) as answer:
            found.append(answer.status)
    return found


async def test_a_household_is_one_client_on_each_of_its_networks(start: Start) -> None:
    service = await start(RATE_LIMIT_CREATE="4/hour", TRUSTED_PROXIES="127.0.0.0/8")
    assert await creates(service, *(f"2001:db8:1:a{number:x}::1" for number in range(6))) == [201] * 4 + [429] * 2
    assert await creates(service, "2001:db8:1:b00::1", "2001:db8:2:a00::1", "198.51.100.1") == [201] * 3


@pytest.mark.parametrize("one", ["198.51.100.{}", "2001:db8:1:{:x}00::1"])
async def test_the_addresses_of_one_network_get_a_few_times_the_rate_of_one(start: Start, one: str) -> None:
    service = await start(RATE_LIMIT_CREATE="2/hour", TRUSTED_PROXIES="127.0.0.0/8")
    network = [one.format(number) for number in range(10)]
    # What is refused to one address uses up nothing of its network's.
    assert await creates(service, *[network[0]] * 30) == [201] * 2 + [429] * 28
    assert await creates(service, *network[1:8] * 2) == [201] * 14
    assert await creates(service, network[8], "203.0.113.1", "2001:db8:9::1") == [429, 201, 201]


async def test_all_clients_together_are_limited_in_new_purchases(start: Start) -> None:
    service = await start(RATE_LIMIT_CREATE="2/hour", RATE_LIMIT_CREATE_TOTAL="5/hour", TRUSTED_PROXIES="127.0.0.0/8")
    strangers = [f"198.{number}.100.1" for number in range(5)]
    assert await creates(service, *[strangers[0]] * 20) == [201] * 2 + [429] * 18
    assert await creates(service, *strangers[1:]) == [201] * 3 + [429]
    async with service.http.get(f"{service.api}/metrics") as answer:
        assert 'onramp_rate_limited_total{kind="create_total"} 1.0' in await answer.text()
    assert at_least(Rate(600, 60), Rate(1, 1)) == Rate(600, 60)
    assert at_least(Rate(59, 60), Rate(1, 1)) == Rate(1, 1), "never less than one client may"
    assert at_least(None, Rate(1, 1)) is at_least(Rate(1, 1), None) is None


async def test_without_a_limit_per_client_there_is_no_total_limit(start: Start) -> None:
    service = await start(RATE_LIMIT_CREATE="", RATE_LIMIT_CREATE_TOTAL="1/hour")
    assert [(await service.create())[0] for _ in range(3)] == [201] * 3


async def test_throw_away_wallets_of_one_address_do_not_multiply_its_limit(start: Start) -> None:
    service = await start(RATE_LIMIT_READ="3/hour", TRUSTED_PROXIES="127.0.0.0/8", JWT_SECRETS=SecretStr(SECRET.hex()))
    tokens = Tokens(service.database, [SECRET], 31611, SystemClock())

    async def reads(number: int, address: str, times: int) -> list[int]:
        token, _ = tokens.sign(to_checksum(f"0x{number:040x}"), 0)
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": address}
        return [await read(service, "/api/v1/onramp/sessions", headers) for _ in range(times)]

    assert await reads(1, "198.51.100.1", 5) == [200] * 3 + [429] * 2
    assert await reads(2, "198.51.100.1", 3) == [200] * 3
    assert await reads(3, "198.51.100.1", 1) == [429]
    assert await reads(3, "198.51.101.1", 1) == [200]
    assert await reads(4, "2001:db8:1:a00::1", 3) + await reads(5, "2001:db8:1:a01::1", 3) == [200] * 6
    assert await reads(6, "2001:db8:1:a02::1", 1) == [429]
    assert await reads(1, "198.51.101.1", 1) == [429], "a wallet is counted wherever it comes from"
    # A visitor without a login still has the address' own rate.
    visitor = {"X-Forwarded-For": "198.51.100.1"}
    assert await read(service, "/api/v1/onramp/sessions/unknown", visitor) == 404


async def read(service: Any, path: str, headers: dict[str, str]) -> int:
    async with service.http.get(service.api + path, headers=headers) as answer:
        return int(answer.status)
