"""Run `onramp` commands and services, each in its own process, forked from one that has already imported everything.

Starting Python and importing takes a second or more for each process, and the tests start hundreds. Those that are about the start itself
run the installed command.
"""

import asyncio
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import connection
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        *("tests.support.command_line", "onramp.cli", "onramp.config.loader", "aiohttp", "rich.console", "rich.table"),
        *("onramp.bootstrap.server", "onramp.doctor.parts", "onramp.migrations", "onramp.dev.run"),
        *("aiosqlite", "asyncpg", "uvloop", "eth_account", "stripe"),
    ]
)


class ForkedProcess:
    """A running process, with the methods of `subprocess.Popen` that tests use."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: Path | None = None,
        stdout: Path,
        stderr: Path,
        cwd: Path,
    ) -> None:
        """Run `python -m MODULE ARGUMENTS` with `environment` alone. Output is appended to the files; `stdin` None is empty."""
        for path in (stdout, stderr):
            path.touch()  # so that it can be read before the process has begun
        files = (str(stdin or os.devnull), str(stdout), str(stderr))
        self._process = _FORKS.Process(
            target=_run, args=(module, tuple(arguments), dict(environment), files, str(cwd)), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, minus the number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return `returncode`."""
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status. Raises subprocess.TimeoutExpired."""
        connection.wait([self._process.sentinel], timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return self.returncode

    async def ended(self) -> int:
        """Wait like `wait`, without blocking the event loop."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        sentinel = os.dup(self._process.sentinel)
        loop.add_reader(sentinel, done.set)
        try:
            await done.wait()
        finally:
            loop.remove_reader(sentinel)
            os.close(sentinel)
        return self.wait()


def start_onramp(environment: Mapping[str, str], *arguments: str, log: Path, cwd: Path | None = None) -> ForkedProcess:
    """Start a command that runs until it is stopped; `log` gets all its output."""
    return ForkedProcess("onramp", arguments, environment, stdout=log, stderr=log, cwd=cwd or log.parent)


def run_onramp(
    environment: dict[str, str], *arguments: str, answers: str = "", seconds: float = 120
) -> "subprocess.CompletedProcess[str]":
    """Return exit status and output. The command sees `environment` alone; it reads `answers` where it asks a question."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stdin, stdout, stderr = folder / "stdin", folder / "stdout", folder / "stderr"
        stdin.write_text(answers, encoding="utf-8")
        process = ForkedProcess(
            "onramp", arguments, environment, stdin=stdin, stdout=stdout, stderr=stderr, cwd=Path("/tmp")
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        outputs = [path.read_text(encoding="utf-8") for path in (stdout, stderr)]
        return subprocess.CompletedProcess(list(arguments), status, *outputs)


def _run(
    module: str, arguments: tuple[str, ...], environment: dict[str, str], files: tuple[str, str, str], cwd: str
) -> None:
    for number, name in enumerate(files):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY, 0o600), number)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
