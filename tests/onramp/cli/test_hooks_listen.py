"""`onramp hooks listen`: each message reaches a server on this computer, verified, although that server fails at first."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from onramp.bootstrap.server import start_app
from onramp.dev.chain.anvil import free_port
from onramp.hooks.verification import verify
from tests.support.clocks import OffsetClock
from tests.support.command_line import start_onramp
from tests.support.hook_commands import hooks_json
from tests.support.operators import make_key
from tests.support.service import Service, replica
from tests.support.waiting import eventually


async def test_messages_are_posted_until_the_local_server_accepts_them(
    service: Service, sqlite_url: str, tmp_path: Path
) -> None:
    received: list[tuple[int, str, str]] = []
    secret: list[str] = []

    async def hook(request: web.Request) -> web.Response:
        body = await request.read()
        assert verify(request.headers, body, secret[0], datetime.now(UTC)).ok
        # The first message fails twice.
        status = 503 if len(received) < 2 else 200
        received.append((status, request.headers["webhook-id"], json.loads(body)["data"]["id"]))
        return web.Response(status=status)

    app, port, log = web.Application(), free_port(), tmp_path / "listen.log"
    app.router.add_post("/hooks", hook)
    server, _ = await start_app(app, "127.0.0.1", port)
    amir = await make_key(service.database, "admin", "amir")
    environment = {"PATH": os.environ["PATH"], "ONRAMP_API_URL": service.api, "ONRAMP_API_KEY": amir}
    forward = f"http://127.0.0.1:{port}/hooks"
    listening = start_onramp(
        environment, "hooks", "listen", "--forward", forward, "--events", "session.created", "--json", log=log
    )

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in log.read_text().splitlines()]

    try:
        first = (await eventually(lines))[0]
        secret.append(first["secret"])
        (endpoint,) = (await hooks_json(service.api, amir, "list"))["data"]
        assert (endpoint["status"], endpoint["events"]) == ("disabled", ["session.created"])
        async with replica(sqlite_url, service, OffsetClock(), workers=("outbox",)):
            sessions = [(await service.create())[1]["id"] for _ in range(2)]
            await eventually(lambda: len({item for status, item, _ in received if status == 200}) == 2)
    finally:
        listening.terminate()
        status = await listening.ended()
        await server.cleanup()
    assert status == 130
    assert {session for _, _, session in received} == set(sessions)
    by_message: dict[str, list[int]] = {}
    for answered, message_id, _ in received:
        by_message.setdefault(message_id, []).append(answered)
    assert all(answers.count(200) == 1 for answers in by_message.values()), by_message
    assert sum(answers.count(503) for answers in by_message.values()) == 2
    assert (await hooks_json(service.api, amir, "list"))["data"] == []
    posted = lines()[1:]
    assert {line["type"] for line in posted} == {"session.created"}
    assert sum(line["problem"] == "the server answered 503" for line in posted) == 2
