"""Fixtures of the tests of authentication."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from onramp.auth.api_keys.dependencies import ApiKeyServices
from onramp.config.settings import Settings
from tests.support.key_office import Office
from tests.support.oidc_provider import OidcProvider, running_provider, settings


@pytest.fixture
async def office(start: Any, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Office:
    running = await start(url=database_url)
    # Production refuses the sandbox and SQLite; all that keys ask of it is this flag.
    monkeypatch.setattr(Settings, "is_production", property(lambda _: True))
    monkeypatch.setattr(ApiKeyServices, "is_production", property(lambda _: True))
    return Office(running)


@pytest.fixture
async def provider() -> AsyncIterator[OidcProvider]:
    async with running_provider() as running:
        yield running


@pytest.fixture
async def oidc_service(start: Any, provider: OidcProvider) -> Any:
    return await start(**settings(provider.issuer, OIDC_PERSONS="sub-1=ada,sub-2=grace"))


@pytest.fixture
async def console_service(start: Any) -> Any:
    return await start(CONSOLE="on")
