"""`onramp dev` in its own process, as a person would start it."""

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import ForkedProcess

SECRET = re.compile(
    r"(sk|rk)_(test|live)_\w{12}|whsec_\w{12}|cos_\w+_secret_\w|\b(ork|oin)_[a-z2-7]{52}|\beyJ[\w-]{20,}\.eyJ[\w-]{20,}\."
)
"""Matches generated secrets, and not those that a test contains."""
START_SECONDS = 90
"""For a busy machine; on a quiet one the whole stack is up in a few."""


@dataclass(frozen=True, slots=True)
class DevStack:
    """A running `onramp dev`, by what it printed."""

    api: str
    checkout: str
    console: str
    docs: str
    metrics: str
    rpc: str
    stripe: str
    webhooks: str
    viewer: str
    operator: str
    approver: str
    admin: str
    dapp: str
    log: Path
    printed: list[str] = field(repr=False)
    """Every line of standard output so far."""


def post_json(url: str, body: Any, key: str = "") -> tuple[int, Any]:
    """Send `body` as JSON, with this API key; return status and body, whether it succeeded or not."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


@contextmanager
def dev_process(
    folder: Path, *, data: Path | None = None, port: int = 0, module: str = "onramp", **variables: str
) -> Iterator[DevStack]:
    """Run `onramp dev` with `variables` in its environment; end it as Ctrl-C does. `data` is kept for the next run; port 0 is a free one.

    `module` is run in place of `onramp`; it changes what the test needs changed, and runs that.
    """
    log = folder / "dev.log"
    # With HOT_WALLET_SIGNER=aws-kms or gcp-kms the same stories are lived on a key service.
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "HOT_WALLET_SIGNER") if name in os.environ}
    # A test makes more purchases a minute than a person does.
    environment |= {"RATE_LIMIT_CREATE": "", "RATE_LIMIT_READ": "", "LOG_FORMAT": "json"} | variables
    log.unlink(missing_ok=True)
    # Not in `folder`, whose contents are what the command writes.
    pipe = Path(tempfile.mkdtemp(prefix="onramp-dev-")) / "stdout"
    os.mkfifo(pipe)
    arguments = ["dev", "--port", str(port), *(["--data", str(data)] if data else [])]
    process = ForkedProcess(module, arguments, environment, stdout=pipe, stderr=log, cwd=folder)
    try:
        printed: list[str] = []
        stack = DevStack(**_printed(pipe, log, printed), log=log, printed=printed)
        until = time.monotonic() + START_SECONDS
        while not any(line.startswith("Open the checkout") for line in printed):
            if time.monotonic() > until or process.returncode is not None:
                pytest.fail(f"`onramp dev` stopped while it started: {log.read_text()[-2000:]}")
            time.sleep(0.01)
        yield stack
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(pipe.parent)
    # Whatever all the tests of this session did with it.
    written = log.read_text()
    keys = (stack.viewer, stack.operator, stack.approver, stack.admin, stack.dapp)
    assert not any(key in written for key in keys), "a key is in the log"
    assert SECRET.search(written) is None, "a secret is in the log"


def _printed(pipe: Path, log: Path, printed: list[str]) -> dict[str, str]:
    expected = {item.name for item in fields(DevStack)} - {"log", "printed"}
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        with pipe.open(encoding="utf-8") as stdout:
            for line in stdout:
                printed.append(line.rstrip("\n"))
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    values: dict[str, str] = {}
    until = time.monotonic() + START_SECONDS
    while missing := expected - set(values):
        try:
            line = lines.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            names = ", ".join(sorted(missing))
            pytest.fail(f"`onramp dev` did not print {names} in {START_SECONDS} s: {log.read_text()[-2000:]}")
        if line is None:
            pytest.fail(f"`onramp dev` ended: {log.read_text()[-2000:]}")
        name, colon, value = line.strip().partition(": ")
        if colon and name in expected:
            values[name] = value
    return values
