"""A small server that receives webhooks as a shop would: verify the raw body, answer 2xx, and remember ids, because messages can repeat."""

import html
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

import orjson
from aiohttp import web

from kit.clock import rfc3339
from onramp.hooks.verification import Verdict, verify

PATH: Final = "/hooks"
MAX_EVENTS: Final = 500
"""How many received requests are kept; older ones are dropped."""
MAX_BODY: Final = 64 * 1024
_NOT_READY: Final = 503
_SHOWN_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature", "user-agent")


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request that reached the receiver, and how it was answered."""

    receivedAt: str  # noqa: N815 - the fields of its JSON
    id: str
    """The header webhook-id."""
    type: str
    subject: str
    """The id in the message's data, such as a session's."""
    verified: bool
    reason: str
    """Why the signature is or is not valid."""
    repeated: bool
    """Whether a message with this id was accepted before."""
    answered: int
    headers: Mapping[str, str]
    body: str


class WebhookReceiver:
    """Receives, verifies and remembers messages. Until it has a secret, and while it is told to fail, it refuses them."""

    def __init__(self) -> None:
        self.secret = ""
        self.events: deque[ReceivedRequest] = deque(maxlen=MAX_EVENTS)
        self._status = 200
        self._accepted: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the aiohttp routes."""
        return [
            web.post(PATH, self.receive),
            web.get("/", self.page),
            web.get("/events", self.listing),
            web.post("/answer", self.set_answer),
        ]

    async def receive(self, request: web.Request) -> web.Response:
        """Verify a message and answer 200; 400 if its signature is not valid, and the status that was ordered while there is one."""
        raw = await request.read()
        verdict = Verdict("not_ready", "The receiver has no secret yet.")
        if self.secret:
            verdict = verify(request.headers, raw, self.secret, datetime.now(UTC))
        message_id = request.headers.get("webhook-id", "")
        status = self._answer(verdict)
        self.events.appendleft(
            ReceivedRequest(
                receivedAt=rfc3339(datetime.now(UTC)),
                id=message_id,
                **_summary(raw),
                verified=verdict.ok,
                reason=verdict.reason,
                repeated=message_id in self._accepted,
                answered=status,
                headers={name: request.headers[name] for name in _SHOWN_HEADERS if name in request.headers},
                body=raw.decode(errors="replace"),
            )
        )
        if status == 200:
            self._accepted.add(message_id)
        return web.Response(status=status, text="" if status == 200 else verdict.reason)

    def _answer(self, verdict: Verdict) -> int:
        if verdict.code == "not_ready":
            return _NOT_READY
        if self._status != 200:
            return self._status
        return 200 if verdict.ok else 400

    async def listing(self, _request: web.Request) -> web.Response:
        """Return the received requests as JSON, the newest first."""
        data = [asdict(event) for event in self.events]
        return web.Response(body=orjson.dumps({"data": data}), content_type="application/json")

    async def set_answer(self, request: web.Request) -> web.Response:
        """Answer every message with `{"status": N}` from now on; 200 ends it."""
        try:
            value = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            value = None
        status = value.get("status") if isinstance(value, dict) else None
        if not isinstance(status, int) or not 200 <= status <= 599:
            return web.Response(status=400, text='Send a JSON object such as {"status": 503}.')
        self._status = status
        return web.Response(body=orjson.dumps({"status": status}), content_type="application/json")

    async def page(self, _request: web.Request) -> web.Response:
        """Show the received requests, the newest first."""
        rows = "".join(_row(event) for event in self.events) or '<tr><td colspan="6">Nothing has arrived yet.</td></tr>'
        state = "" if self._status == 200 else f"<p><b>Every message is answered with {self._status}.</b></p>"
        return web.Response(
            text=_PAGE.format(rows=rows, state=state),
            content_type="text/html",
            charset="utf-8",
            headers={
                "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
                "Cache-Control": "no-store",
            },
        )


def make_receiver(receiver: WebhookReceiver) -> web.Application:
    """Return the receiver as an application."""
    app = web.Application(client_max_size=MAX_BODY)
    app.add_routes(receiver.routes())
    return app


def _summary(raw: bytes) -> dict[str, str]:
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError:
        message = None
    message = message if isinstance(message, dict) else {}
    data = message.get("data")
    subject = data.get("id") if isinstance(data, dict) else None
    return {"type": str(message.get("type", "")), "subject": str(subject or "")}


def _row(event: ReceivedRequest) -> str:
    verdict = "verified" if event.verified else event.reason
    cells = (event.receivedAt, event.type, event.subject, verdict + (", repeated" if event.repeated else ""))
    texts = "".join(f"<td>{html.escape(cell)}</td>" for cell in (*cells, str(event.answered)))
    details = (
        f"<details><summary>{html.escape(event.id)}</summary><pre>{html.escape(_indented(event.body))}</pre></details>"
    )
    return f"<tr>{texts}<td>{details}</td></tr>"


def _indented(body: str) -> str:
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return body


_PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="3">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Received webhooks</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;margin:2rem}}table{{border-collapse:collapse;width:100%}}
td,th{{border-bottom:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}}pre{{white-space:pre-wrap}}</style></head>
<body><h1>Received webhooks</h1><p>What this development stack has sent, the newest first; the same as JSON: <code>GET /events</code>.
<code>POST /answer {{"status": 503}}</code> makes this receiver fail, <code>{{"status": 200}}</code> ends that.</p>{state}
<table><thead><tr><th>received</th><th>type</th><th>subject</th><th>signature</th><th>answered</th><th>webhook-id</th></tr></thead>
<tbody>{rows}</tbody></table></body></html>"""
