"""A running service for each test that asks for one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.service import Service, Start, start_service


@pytest.fixture
async def start(sqlite_url: str) -> AsyncIterator[Start]:
    """Start services with settings of the test's choice; all of them are stopped afterwards."""
    async with AsyncExitStack() as stack:

        async def started(
            *, stock: int = 1_000_000 * 10**18, sandbox: dict[str, Any] | None = None, **overrides: Any
        ) -> Service:
            url: str = overrides.pop("url", sqlite_url)
            return await start_service(stack, url, stock=stock, sandbox=sandbox, **overrides)

        yield started


@pytest.fixture
async def service(start: Start) -> Service:
    return await start()
