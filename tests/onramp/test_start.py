"""A start that cannot be says which part is in the way, and leaves nothing open."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from onramp.app import make_app
from onramp.core import StartError
from onramp.dev.anvil import free_port
from onramp.server import start_app
from onramp.settings import load


async def test_a_database_that_is_away_is_named_and_not_the_port() -> None:
    settings = load(DATABASE_URL=SecretStr("postgresql://somebody:marker-password@127.0.0.1:9/onramp"))
    with pytest.raises(StartError, match="DATABASE_URL") as refused:
        await start_app(make_app(settings, workers=()), "127.0.0.1", free_port())
    assert "marker" not in str(refused.value) and "PORT" not in str(refused.value)


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    settings = load(DATABASE_URL=SecretStr(f"sqlite+aiosqlite:///{tmp_path}/x.db"))
    with pytest.raises(StartError, match="Set PORT"):
        await start_app(make_app(settings, workers=()), "127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()
