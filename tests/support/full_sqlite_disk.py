"""Fill the disk under a SQLite database, and print what the process's heartbeats find; run on a small disk, in a process of its own."""

import asyncio
import contextlib
import sys
from pathlib import Path

import structlog

from kit.clock import SystemClock
from kit.db.database import connect, is_unavailable
from kit.heartbeats.writer import HeartbeatWriter
from onramp import migrations


async def look(folder: Path) -> None:
    """Print three lines: whether there is space before, while, and after the disk is full; and whether a large write is refused as unavailable."""
    database = connect(f"sqlite+aiosqlite:///{folder}/test.db")
    await migrations.upgrade(database)

    async def beat() -> None:
        # A new one proves the space with its first heartbeat.
        pulse = HeartbeatWriter(database, "one", lambda: {"inbox": 0.0}, SystemClock())
        await pulse.beat()
        print(pulse.failure, flush=True)
        await pulse.stop()

    await beat()
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 12)):
            pass
    await beat()
    try:
        async with database.write() as conn:
            await conn.exec_driver_sql("CREATE TABLE more AS SELECT randomblob(4000000) AS filling")
    except Exception as error:
        if not is_unavailable(error):
            raise
    else:
        raise AssertionError("a full disk took four megabytes")
    filler.unlink()
    await beat()
    await database.close()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(look(Path(sys.argv[1])))
