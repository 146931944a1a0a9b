"""Run `onramp` commands, each in a process of its own, forked from one that has already imported everything.

Starting Python and importing takes a second for each command on a busy machine, and a test runs dozens.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        *("tests.support.command_line", "onramp.cli", "onramp.config.loader", "aiohttp", "rich.console", "rich.table"),
        *("onramp.bootstrap.container", "onramp.doctor.parts", "onramp.migrations", "asyncpg"),
    ]
)


def run_onramp(
    environment: dict[str, str], *arguments: str, answers: str = "", seconds: float = 120
) -> "subprocess.CompletedProcess[str]":
    """Return exit status and output. The command sees `environment` alone; it reads `answers` where it asks a question."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "stdin").write_text(answers, encoding="utf-8")
        child = _FORKS.Process(target=_run, args=(folder, environment, arguments), daemon=True)
        child.start()
        child.join(seconds)
        if child.exitcode is None:
            child.kill()
            raise subprocess.TimeoutExpired(list(arguments), seconds)
        outputs = [(Path(folder) / name).read_text(encoding="utf-8") for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(list(arguments), child.exitcode, *outputs)


def _run(folder: str, environment: dict[str, str], arguments: tuple[str, ...]) -> None:
    sys.stdin = (Path(folder) / "stdin").open(encoding="utf-8")
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir("/tmp")
    sys.argv = ["onramp", *arguments]
    from onramp.cli import main

    main()
