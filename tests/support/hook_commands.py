"""`onramp hooks` as a person types it, in its own process."""

import asyncio
import json
import os
import subprocess
from typing import Any

from tests.support.command_line import run_onramp


def run_hooks(api: str, key: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run `onramp hooks` with this API key and more `variables` of the environment; return exit status and output."""
    environment = {"PATH": os.environ["PATH"], "ONRAMP_API_URL": api, "ONRAMP_API_KEY": key, "COLUMNS": "200"}
    return run_onramp(environment | variables, "hooks", *arguments)


async def run_hooks_async(api: str, key: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `onramp hooks` in a thread, so that a service in this event loop can answer it."""
    return await asyncio.to_thread(run_hooks, api, key, *arguments)


async def hooks_json(api: str, key: str, *arguments: str) -> Any:
    """Run `onramp hooks ... --json`, assert that it succeeds, and return what it printed."""
    result = await run_hooks_async(api, key, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
