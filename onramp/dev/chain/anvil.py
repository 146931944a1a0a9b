"""Anvil, the real EVM node of Foundry, started for development and tests."""

import asyncio
import contextlib
import os
import platform
import random
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Final

import aiohttp

from onramp.dev.chain.rpc import DevChainError, Rpc
from onramp.dev.local.host import ROOT, ends_with_parent, taken

# What npm calls a processor in the names of Foundry's packages.
_ARCHITECTURES: Final = {"x86_64": "amd64", "amd64": "amd64", "arm64": "arm64", "aarch64": "arm64"}
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 10.0
_ATTEMPTS: Final = 3
_TAIL_BYTES: Final = 2000
_PORTS: Final = range(10_000, 32_000)
"""Below those that systems choose from (Linux from 32768, others from 49152), as each connection out has one for a while."""
_PORT_TRIES: Final = 100


class AnvilError(DevChainError):
    """The node could not be started; the text says why and what to do."""


class _PortTaken(AnvilError):
    """Somebody else listens on the port."""


def binary() -> Path:
    """The node's program: of the npm package for this machine, else the `anvil` on PATH. Raises AnvilError."""
    name = f"anvil-{platform.system().lower()}-{_ARCHITECTURES.get(platform.machine().lower(), platform.machine())}"
    packaged = ROOT / "node_modules" / "@foundry-rs" / name / "bin" / "anvil"
    if packaged.is_file():
        return packaged
    installed = shutil.which("anvil")
    if installed is None:
        message = f"anvil is not installed: run `make setup` (npm package @foundry-rs/{name}), or install Foundry."
        raise AnvilError(message)
    return Path(installed)


def free_port() -> int:
    """A port of the loopback that nobody uses now, and that no system gives to somebody else before it is used. Raises AnvilError."""
    # Not `random` itself: whoever seeds that in two processes would get the same ports in both.
    for port in random.SystemRandom().sample(_PORTS, _PORT_TRIES):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    message = f"No free port between {_PORTS.start} and {_PORTS.stop} was found on 127.0.0.1."
    raise AnvilError(message)


class Anvil:
    """One node on the loopback. `start` again after `stop` continues from the state in the data directory.

    On Linux it ends with the thread that started it, which is how the kernel understands a parent.
    """

    def __init__(self, *, chain_id: int, port: int | None = None) -> None:
        """Nothing runs before `start`. Without `port`, a free one is taken each time."""
        self.url = ""
        self._chain_id = chain_id
        self._port = port
        self._temporary: Path | None = None
        self._home = Path()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """True between `start` and `stop`, unless it died."""
        return self._process is not None and self._process.returncode is None

    async def start(self, data_dir: Path | None = None) -> None:
        """Start, and return once it answers. `data_dir` keeps the chain; without it, nothing is kept. Raises AnvilError."""
        if self.running:
            message = "Anvil already runs."
            raise AnvilError(message)
        program = binary()
        if data_dir is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="onramp-anvil-"))
        self._home = self._temporary or data_dir or Path()
        self._home.mkdir(parents=True, exist_ok=True)
        for attempt in range(_ATTEMPTS):
            try:
                await self._start_on(program, self._port or free_port(), keep=data_dir is not None)
            except BaseException as error:
                # A free port may be lost to somebody else before the node gets it; a port that was asked for is not ours to change.
                again = isinstance(error, _PortTaken) and self._port is None and attempt + 1 < _ATTEMPTS
                await self._end_process()
                if again:
                    continue
                self._remove_temporary()
                raise
            return

    async def stop(self) -> None:
        """Ask it to save and end; end it where it does not. Harmless when it does not run."""
        await self._end_process()
        self._remove_temporary()

    async def _start_on(self, program: Path, port: int, *, keep: bool) -> None:
        if taken(port):
            message = f"Port {port} is taken: stop what listens there, or choose another port."
            raise _PortTaken(message)
        # Prague is what Mezo has run since v11, less than the node's own default. History is pruned because the node
        # otherwise writes gigabytes to its home. Blocks come each second and for each transaction.
        arguments = ["--host", "127.0.0.1", "--port", str(port), "--chain-id", str(self._chain_id), "--accounts", "12"]
        arguments += ["--hardfork", "prague", "--block-time", "1", "--mixed-mining"]
        arguments += ["--slots-in-an-epoch", "1", "--prune-history", "256", "--silent"]
        if keep:
            arguments += ["--state", str(self._home / "state.json"), "--state-interval", "10"]
        # A file and not a pipe: nobody reads while the node runs, and a full pipe would stop it.
        with (self._home / "anvil.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(program),
                *arguments,
                env={"HOME": str(self._home), "PATH": os.environ.get("PATH", "")},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=ends_with_parent(),
                start_new_session=True,  # Ctrl-C in a terminal is ours to handle: the node has to save first
            )
        self.url = f"http://127.0.0.1:{port}"
        await self._until_ready(self._process, port)

    async def _until_ready(self, process: asyncio.subprocess.Process, port: int) -> None:
        rpc = Rpc(self.url)
        try:
            async with asyncio.timeout(_START_SECONDS):
                while process.returncode is None:
                    with contextlib.suppress(aiohttp.ClientError):
                        if int(await rpc("eth_chainId"), 16) == self._chain_id and process.returncode is None:
                            return
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            message = f"anvil did not answer within {_START_SECONDS:.0f} s; it said: {self._last_words()}"
            raise AnvilError(message) from error
        words = self._last_words()
        if "address already in use" in words.lower():
            message = f"Port {port} is taken: stop what listens there, or choose another port."
            raise _PortTaken(message)
        message = f"anvil ended at once (exit code {process.returncode}); it said: {words}"
        raise AnvilError(message)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return (self._home / "anvil.log").read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip() or "nothing"
        return "nothing"

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _remove_temporary(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None
