"""A TCP relay that can fall silent: it goes on reading, so the kernel acknowledges every packet, and passes nothing on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from sqlalchemy.engine import make_url

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """A relay between a client and a real server, on its own port."""

    def __init__(self, host: str, port: int) -> None:
        """`host` is a name, or the folder of a Unix socket of Postgres."""
        self._host, self._port = host, port
        self._silent: set[int] = set()
        self._made = 0
        self._new_are_silent = False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @classmethod
    def to_postgres(cls, url: str) -> Self:
        """Return a relay to the server that `url` names."""
        parsed = make_url(url)
        folder = parsed.query.get("host")
        return cls(str(folder or parsed.host), parsed.port or 5432)

    def url(self, url: str) -> str:
        """Return `url` with this relay in the place of the server."""
        through = make_url(url).set(host="127.0.0.1", port=self.port, query={})
        return through.render_as_string(hide_password=False)

    def silence(self, *, new: bool) -> None:
        """Stop forwarding on the open connections, and with `new` also on later ones."""
        self._silent = set(range(self._made))
        self._new_are_silent = new

    def heal(self) -> None:
        """Forward new connections again; silent ones stay silent."""
        self._new_are_silent = False

    @property
    def made(self) -> int:
        """Return the number of connections so far."""
        return self._made

    async def start(self) -> None:
        """Start listening."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number, self._made = self._made, self._made + 1
        if self._new_are_silent:
            self._silent.add(number)
        try:
            far_reader, far_writer = await self._open()
            await asyncio.gather(self._pump(number, reader, far_writer), self._pump(number, far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for each in (writer, locals().get("far_writer")):
                if isinstance(each, asyncio.StreamWriter):
                    each.transport.abort()

    async def _open(self) -> Streams:
        socket = Path(self._host) / f".s.PGSQL.{self._port}"
        if self._host.startswith("/"):
            return await asyncio.open_unix_connection(str(socket))
        return await asyncio.open_connection(self._host, self._port)

    async def _pump(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if number not in self._silent:
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            if number not in self._silent:
                writer.close()


@asynccontextmanager
async def relayed(host: str, port: int) -> AsyncIterator[Relay]:
    """Yield a relay to a server; it ends with the block."""
    relay = Relay(host, port)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
