"""Start and stop Anvil, Foundry's EVM node, for development and tests."""

import asyncio
import contextlib
import fcntl
import os
import platform
import random
import shutil
import socket
import tempfile
from collections import deque
from pathlib import Path
from typing import Final

import aiohttp

from onramp.dev.chain.rpc import DevChainError, Rpc
from onramp.dev.local.host import ROOT, end_with_parent, port_in_use

# The processor's name in the names of Foundry's npm packages.
_ARCHITECTURES: Final = {"x86_64": "amd64", "amd64": "amd64", "arm64": "arm64", "aarch64": "arm64"}
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 10.0
_ATTEMPTS: Final = 3
_TAIL_BYTES: Final = 2000
_PORTS: Final = range(10_000, 32_000)
"""The ports from which one is taken, below the ephemeral ones (Linux from 32768, others from 49152), which outgoing connections use."""
_PORT_TRIES: Final = 100


class AnvilError(DevChainError):
    """The node could not be started; the text says why."""


class _PortTaken(AnvilError):
    """Another program listens on the port."""


def binary() -> Path:
    """Return the node's program: from the npm package for this computer, else the `anvil` on PATH. Raises AnvilError."""
    name = f"anvil-{platform.system().lower()}-{_ARCHITECTURES.get(platform.machine().lower(), platform.machine())}"
    packaged = ROOT / "node_modules" / "@foundry-rs" / name / "bin" / "anvil"
    if packaged.is_file():
        return packaged
    installed = shutil.which("anvil")
    if installed is None:
        raise AnvilError(
            f"anvil is not installed: run `make setup` (npm package @foundry-rs/{name}), or install Foundry."
        )
    return Path(installed)


_reserved: deque[int] = deque()
"""The file descriptors of the locks on the ports that were returned last."""
_RESERVED: Final = 64


def free_port() -> int:
    """Return an unused loopback port that the operating system will not hand to another program. Raises AnvilError.

    Other processes that call this function do not get it either, for as long as it is among the last 64 that this process was given: the
    caller needs a moment to listen there.
    """
    # SystemRandom, because two processes that seed `random` alike would choose the same ports.
    for port in random.SystemRandom().sample(_PORTS, _PORT_TRIES):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _reserve(port)
            return port
    raise AnvilError(f"No free port between {_PORTS.start} and {_PORTS.stop} was found on 127.0.0.1.")


def _reserve(port: int) -> None:
    """Lock a file that stands for the port. Raises BlockingIOError if another process holds the lock."""
    folder = Path("/tmp") / f"onramp-ports-{os.getuid()}"  # noqa: S108 - one folder for all, whatever TMPDIR is
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / str(port), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    _reserved.append(descriptor)
    if len(_reserved) > _RESERVED:
        os.close(_reserved.popleft())


class Anvil:
    """One node on the loopback interface. `start` again after `stop` continues from the state in the data directory.

    On Linux the node ends with the thread that started it: to the kernel, the parent is a thread.
    """

    def __init__(self, *, chain_id: int, port: int | None = None) -> None:
        """Prepare a node; without `port`, each start takes a free one."""
        self.url = ""
        self._chain_id = chain_id
        self._port = port
        self._temporary: Path | None = None
        self._home = Path()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether the process runs: between `start` and `stop`, unless it died."""
        return self._process is not None and self._process.returncode is None

    async def start(self, data_dir: Path | None = None) -> None:
        """Start the node, and return once it answers. `data_dir` keeps the chain between runs. Raises AnvilError."""
        if self.running:
            raise AnvilError("Anvil is already running.")
        program = binary()
        if data_dir is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="onramp-anvil-"))
        self._home = self._temporary or data_dir or Path()
        self._home.mkdir(parents=True, exist_ok=True)
        for attempt in range(_ATTEMPTS):
            try:
                await self._start_on(program, self._port or free_port(), keep=data_dir is not None)
            except BaseException as error:
                # Another program may take a free port before the node gets it. A port that the caller chose is not replaced.
                again = isinstance(error, _PortTaken) and self._port is None and attempt + 1 < _ATTEMPTS
                await self._end_process()
                if again:
                    continue
                self._remove_temporary()
                raise
            return

    async def stop(self) -> None:
        """Ask the node to save its state and end; kill it after a timeout. Do nothing if it is not running."""
        await self._end_process()
        self._remove_temporary()

    async def _start_on(self, program: Path, port: int, *, keep: bool) -> None:
        if port_in_use(port):
            raise _PortTaken(f"Port {port} is in use: stop the program that listens there, or choose another port.")
        # Mezo has run Prague since v11; the node's own default is newer. History is pruned because the node
        # otherwise writes gigabytes to its home. A block is made each second and for each transaction.
        arguments = ["--host", "127.0.0.1", "--port", str(port), "--chain-id", str(self._chain_id), "--accounts", "12"]
        arguments += ["--hardfork", "prague", "--block-time", "1", "--mixed-mining"]
        arguments += ["--slots-in-an-epoch", "1", "--prune-history", "256", "--silent"]
        if keep:
            arguments += ["--state", str(self._home / "state.json"), "--state-interval", "10"]
        # A file, not a pipe: a pipe that nothing reads fills up and blocks the node.
        with (self._home / "anvil.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(program),
                *arguments,
                env={"HOME": str(self._home), "PATH": os.environ.get("PATH", "")},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent(),
                start_new_session=True,  # Ctrl-C must reach only this process, which then lets the node save its state
            )
        self.url = f"http://127.0.0.1:{port}"
        await self._wait_until_ready(self._process, port)

    async def _wait_until_ready(self, process: asyncio.subprocess.Process, port: int) -> None:
        rpc = Rpc(self.url)
        try:
            async with asyncio.timeout(_START_SECONDS):
                while process.returncode is None:
                    with contextlib.suppress(aiohttp.ClientError):
                        if int(await rpc("eth_chainId"), 16) == self._chain_id and process.returncode is None:
                            return
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise AnvilError(
                f"anvil did not answer within {_START_SECONDS:.0f} s; its output: {self._log_tail()}"
            ) from error
        output = self._log_tail()
        if "address already in use" in output.lower():
            raise _PortTaken(f"Port {port} is in use: stop the program that listens there, or choose another port.")
        raise AnvilError(f"anvil ended at once (exit code {process.returncode}); its output: {output}")

    def _log_tail(self) -> str:
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
