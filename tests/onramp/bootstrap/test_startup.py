"""A start or a command that cannot succeed names the part that prevents it, and leaves nothing open."""

import asyncio
import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from onramp.bootstrap.app import make_app
from onramp.bootstrap.errors import StartError
from onramp.bootstrap.server import start_app
from onramp.config.loader import load
from onramp.dev.chain.anvil import free_port
from tests.support.command_line import run_onramp


async def test_a_database_that_is_away_is_named_and_not_the_port() -> None:
    settings = load(DATABASE_URL=SecretStr("postgresql://somebody:marker-password@127.0.0.1:9/onramp"))
    with pytest.raises(StartError, match="DATABASE_URL") as refused:
        await start_app(make_app(settings, workers=()), "127.0.0.1", free_port())
    assert "marker" not in str(refused.value) and "PORT" not in str(refused.value)


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    settings = load(DATABASE_URL=SecretStr(f"sqlite+aiosqlite:///{tmp_path}/x.db"))
    with pytest.raises(StartError, match="Choose another PORT"):
        await start_app(make_app(settings, workers=()), "127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()


AWAY = "postgresql://somebody:marker-password@127.0.0.1:9/onramp"
COMMANDS = (
    ("sessions", "list"),
    ("events", "list"),
    ("keys", "list"),
    ("audit", "verify"),
    ("privacy", "prune"),
    ("migrate",),
    ("serve",),
    ("work", "--only", "audit"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_in_one_line_that_the_database_is_away(command: tuple[str, ...]) -> None:
    refused = run_onramp({"PATH": os.environ["PATH"], "LOG_LEVEL": "error", "DATABASE_URL": AWAY}, *command)
    lines = refused.stderr.splitlines()
    assert (refused.returncode, len(lines)) == (1, 1), refused.stderr
    assert lines[0].startswith("onramp: ") and "DATABASE_URL" in lines[0]
    assert "Error" not in lines[0] and "marker" not in lines[0]


@pytest.mark.parametrize("command", COMMANDS[:5], ids=" ".join)
def test_a_database_without_tables_is_brought_up_in_development(tmp_path: Path, command: tuple[str, ...]) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/new.db"
    done = run_onramp({"PATH": os.environ["PATH"], "DATABASE_URL": url}, *command)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_sqlite_file_in_a_folder_that_is_not_there_is_named_at_once(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/missing/x.db"
    refused = run_onramp({"PATH": os.environ["PATH"], "DATABASE_URL": url}, "sessions", "list")
    assert refused.returncode == 1
    assert "DATABASE_URL: names a SQLite file in a folder that does not exist" in refused.stderr
