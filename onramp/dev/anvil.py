"""Anvil, the real EVM node of Foundry, started for development and tests."""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

ROOT: Final = Path(__file__).resolve().parents[2]
_START_SECONDS: Final = 20.0
_PDEATHSIG: Final = 1


class AnvilError(Exception):
    """The node could not be started; the text says why and what to do."""


def binary() -> Path:
    """The node's program, out of the npm package of this platform."""
    found = sorted((ROOT / "node_modules" / "@foundry-rs").glob("anvil-*/bin/anvil"))
    if not found:
        message = "anvil is not installed: run `make setup`, which takes it from npm."
        raise AnvilError(message)
    return found[0]


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    # Linux only: without it a killed test run leaves nodes behind.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)


class Anvil:
    """One node. `home` holds its state between runs; without one, nothing is kept."""

    def __init__(self, *, chain_id: int, home: Path | None = None, port: int | None = None, block_seconds: int = 1) -> None:
        """Nothing runs before `start`."""
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._chain_id = chain_id
        self._home = home
        self._block_seconds = block_seconds
        self._temporary: str | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start, and return when it answers with its chain id. Raises AnvilError."""
        if self._home is None:
            self._temporary = tempfile.mkdtemp(prefix="onramp-anvil-")
        home = self._home or Path(self._temporary or ".")
        home.mkdir(parents=True, exist_ok=True)
        # Prague is what Mezo runs since v11. History is pruned: without it the node writes gigabytes to its home.
        arguments = [
            "--host", "127.0.0.1", "--port", str(self.port), "--chain-id", str(self._chain_id), "--accounts", "12",
            "--hardfork", "prague", "--block-time", str(self._block_seconds), "--mixed-mining", "--slots-in-an-epoch", "1",
            "--prune-history", "256", "--silent",
        ]
        if self._home is not None:
            arguments += ["--state", str(home / "state.json"), "--state-interval", "10"]
        environment = {"HOME": str(home), "PATH": os.environ.get("PATH", "")}
        self._process = await asyncio.create_subprocess_exec(
            str(binary()), *arguments, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one call, no locks
            start_new_session=True,
        )
        try:
            await self._until_ready()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ask it to save and end; end it where it does not."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    async def _until_ready(self) -> None:
        async with aiohttp.ClientSession() as session:
            try:
                async with asyncio.timeout(_START_SECONDS):
                    while True:
                        if self._process is None or self._process.returncode is not None:
                            raise AnvilError(await self._last_words())
                        with contextlib.suppress(aiohttp.ClientError):
                            if int(await rpc(session, self.url, "eth_chainId"), 16) == self._chain_id:
                                return
                            message = f"another node answers on port {self.port}"
                            raise AnvilError(message)
                        await asyncio.sleep(0.02)
            except TimeoutError as error:
                message = f"anvil did not answer within {_START_SECONDS:.0f} s"
                raise AnvilError(message) from error

    async def _last_words(self) -> str:
        stream = self._process.stderr if self._process is not None else None
        words = (await stream.read(4096)).decode(errors="replace").strip() if stream is not None else ""
        return f"anvil ended at once: {words or 'it said nothing'}"


class RpcError(Exception):
    """The node answered with an error; its code and message, as it gave them."""


async def rpc(session: aiohttp.ClientSession, url: str, method: str, *params: Any) -> Any:
    """One JSON-RPC call to a development node, which is trusted: no pool, no second opinion."""
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
        answer = orjson.loads(await response.read())
    if "error" in answer:
        raise RpcError(f"{method}: {answer['error'].get('code')} {answer['error'].get('message')}")
    return answer["result"]
