"""`onramp treasury` as a person types it, in its own process, against a running service."""

import asyncio
import json
import os
import subprocess
import time
from typing import Any

from tests.support.command_line import run_onramp
from tests.support.dev_stack import DevStack


def run_treasury(api: str, key: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `onramp treasury` with this API key; return exit status and output."""
    environment = {"PATH": os.environ["PATH"], "ONRAMP_API_URL": api, "ONRAMP_API_KEY": key, "COLUMNS": "200"}
    return run_onramp(environment, "treasury", *arguments)


async def run_treasury_async(api: str, key: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `onramp treasury` in a thread, so that a service in this event loop can answer it."""
    return await asyncio.to_thread(run_treasury, api, key, *arguments)


def treasury_json(api: str, key: str, *arguments: str) -> Any:
    """Run `onramp treasury ... --json`, assert that it succeeds, and return what it printed."""
    result = run_treasury(api, key, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def read_balance(stack: DevStack) -> dict[str, Any]:
    """Return the balance of MUSD, as soon as the treasury has read it."""
    until = time.monotonic() + 60
    while True:
        row: dict[str, Any] = treasury_json(stack.api, stack.viewer, "balances")["data"][0]
        if row["blockNumber"] is not None:
            assert row["asset"] == "MUSD"
            return row
        assert time.monotonic() < until
        time.sleep(0.5)
