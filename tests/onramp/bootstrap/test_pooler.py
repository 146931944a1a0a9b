"""Behind PgBouncer: recognised at the start, refused if no setting declares it, and used if DATABASE_POOLER does."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from kit.db.database import connect
from kit.db.pooler import SUGGESTED_LIMITS, pooling, timeouts
from onramp.bootstrap.container import open_container
from onramp.bootstrap.errors import StartError
from onramp.bootstrap.startup import prepare
from onramp.config.loader import load
from onramp.dev.chain.anvil import free_port
from tests.support.service import Start

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
SENDER = "0x976EA74026E726554dB657fA54763abd0C3a0aa9"
pytestmark = pytest.mark.skipif(
    PROGRAM is None and "CI" not in os.environ, reason="pgbouncer is not installed: nothing ran behind a pooler"
)


@asynccontextmanager
async def bouncer(url: str, mode: str, folder: Path) -> AsyncIterator[str]:
    """Run PgBouncer with its defaults in front of the database of `url`; yield the URL through it."""
    parsed, port = make_url(url), free_port()
    folder.chmod(0o755)
    file = folder / "pgbouncer.ini"
    file.write_text(
        f"[databases]\n{parsed.database} = host={parsed.query['host']} user={parsed.username} dbname={parsed.database}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = {mode}\n"
        f"default_pool_size = {4 if mode == 'transaction' else 40}\nunix_socket_dir =\nlogfile =\n",
        encoding="utf-8",
    )
    user = ["-u", "pgserver"] if os.geteuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), "-q", *user, str(file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        yield f"postgresql://{parsed.username}@127.0.0.1:{port}/{parsed.database}?sslmode=disable"
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_the_pooling_mode_of_a_server_is_detected(postgres_url: str, mode: str, tmp_path: Path) -> None:
    direct = connect(postgres_url)
    assert await pooling(direct) == "none"
    assert await timeouts(direct) == {
        "statement_timeout": "8s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
    }
    await direct.close()
    async with bouncer(postgres_url, mode, tmp_path) as url:
        for pooled in (False, True):
            database = connect(url, pooled=pooled)
            assert await pooling(database) == mode
            await database.close()
        database = connect(f"{url}&pgbouncer=true")
        assert await pooling(database) == mode
        assert set((await timeouts(database)).values()) == {"0"}, "nothing is set on connections that others use, too"
        await database.close()


async def test_production_refuses_a_pooler_that_leaves_a_limit_at_0(postgres_url: str, tmp_path: Path) -> None:
    name = make_url(postgres_url).database
    async with bouncer(postgres_url, "transaction", tmp_path) as url:
        settings = load(DELIVERY_MODE="observe", DELIVERY_SENDERS=SENDER).model_copy(
            update={"DATABASE_URL": SecretStr(url), "DATABASE_POOLER": "transaction", "ENVIRONMENT": "production"}
        )
        async with open_container(settings) as container:
            with pytest.raises(StartError, match="statement_timeout, lock_timeout, idle_in_transaction"):
                await prepare(container)
            async with container.database.write() as conn:
                for limit, value in SUGGESTED_LIMITS.items():
                    await conn.exec_driver_sql(f"ALTER DATABASE \"{name}\" SET {limit} = '{value}'")
    async with (
        bouncer(postgres_url, "transaction", tmp_path) as url,
        open_container(settings.model_copy(update={"DATABASE_URL": SecretStr(url)})) as container,
    ):
        await prepare(container)


async def test_an_undeclared_pooler_in_transaction_mode_stops_the_start(postgres_url: str, tmp_path: Path) -> None:
    async with bouncer(postgres_url, "transaction", tmp_path) as url:
        async with open_container(load(DATABASE_URL=SecretStr(url))) as container:
            with pytest.raises(StartError, match="DATABASE_POOLER=transaction") as refused:
                await prepare(container)
        assert url not in str(refused.value)
        async with open_container(load(DATABASE_URL=SecretStr(url), DATABASE_POOLER="transaction")) as container:
            await prepare(container)


@pytest.mark.parametrize(("mode", "pooler"), [("session", ""), ("transaction", "transaction")])
async def test_a_shop_sells_behind_a_pooler(
    postgres_url: str, start: Start, mode: str, pooler: str, tmp_path: Path
) -> None:
    """Run many statements at once, so that server connections are shared between clients."""
    async with bouncer(postgres_url, mode, tmp_path) as url:
        suffix = "&pgbouncer=true" if pooler else ""
        service = await start(url=url + suffix, DATABASE_POOLER=pooler)
        made = await asyncio.gather(*(service.create(key=f"a-purchase-{number:08}") for number in range(40)))
        assert {status for status, _ in made} == {201}
        again = await asyncio.gather(*(service.create(key=f"a-purchase-{number:08}") for number in range(40)))
        assert [body["id"] for _, body in again] == [body["id"] for _, body in made]

        async def read(session_id: str) -> int:
            async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{session_id}") as answer:
                return answer.status

        assert set(await asyncio.gather(*(read(body["id"]) for _, body in made * 3))) == {200}
