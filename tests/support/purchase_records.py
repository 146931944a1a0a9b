"""What a running stack tells of a purchase: its log, the mail to its buyer, and the timeline that an operator is shown."""

import asyncio
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.command_line import run_onramp
from tests.support.dev_stack import DevStack
from tests.support.fake_smtp import FakeSmtp

EMAIL = "the.buyer@example.test"
Line = dict[str, Any]


def lines_of(text: str) -> list[Line]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


async def mailed(smtp: FakeSmtp, stack: DevStack, session_id: str) -> None:
    """Wait for the mail of the delivery; assert what it holds, and that the log tells of it."""
    async with asyncio.timeout(30):
        while not (
            mails := [item for item in smtp.received if f"<{session_id}.delivered@" in item.message["Message-ID"]]
        ):
            await asyncio.sleep(0.1)
        while not any(
            line["event"] == "mail.sent" and line["session"] == session_id and line["state"] == "delivered"
            for line in lines_of(stack.log.read_text())
        ):
            await asyncio.sleep(0.1)
    (mail,) = mails
    assert mail.recipient == EMAIL and mail.message["Subject"] == "31,40 MUSD sind in Ihrer Wallet angekommen"
    (receipt,) = mail.message.iter_attachments()
    assert receipt.get_content().startswith(b"%PDF-")
    assert f"{stack.api}/checkout/s/{session_id}" in mail.part("text/plain")
    async with aiohttp.ClientSession() as http:
        proof = await (await http.get(f"{stack.api}/api/v1/onramp/sessions/{session_id}/delivery")).json()
    assert f"{stack.api}/api/v1/onramp/sessions/{session_id}/delivery" in mail.part("text/html") and proof["txHash"]


async def shown_timeline(stack: DevStack, session_id: str) -> list[dict[str, Any]]:
    """Return the timeline of `onramp sessions show --json`; assert that people are shown each of its lines."""
    (file,) = [match[1] for line in stack.printed if (match := re.search(r"set -a; \. (\S+); set \+a", line))]
    lines = (line.partition("=") for line in Path(file).read_text().splitlines())
    environment = {"PATH": os.environ["PATH"], "LOG_LEVEL": "error"} | {
        name: "".join(shlex.split(text)) for name, _, text in lines
    }
    shown, listed = await asyncio.gather(
        asyncio.to_thread(run_onramp, environment, "sessions", "show", session_id),
        asyncio.to_thread(run_onramp, environment, "sessions", "show", session_id, "--json"),
    )
    assert listed.returncode == 0, listed.stderr
    moments: list[dict[str, Any]] = json.loads(listed.stdout)["timeline"]
    assert all(moment["at"] in shown.stdout and moment["event"] in shown.stdout for moment in moments), shown.stdout
    return moments
