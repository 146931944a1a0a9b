"""Fixtures of the tests of authentication."""

from typing import Any

import pytest

from onramp.auth.api_keys.dependencies import ApiKeyServices
from onramp.config.settings import Settings
from tests.support.key_office import Office


@pytest.fixture
async def office(start: Any, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Office:
    running = await start(url=database_url)
    # Production refuses the sandbox and SQLite; all that keys ask of it is this flag.
    monkeypatch.setattr(Settings, "is_production", property(lambda _: True))
    monkeypatch.setattr(ApiKeyServices, "is_production", property(lambda _: True))
    return Office(running)
