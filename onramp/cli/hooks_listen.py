"""`onramp hooks listen`: follow the messages of a service, and post them, signed, to a server on this computer."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Annotated, Any, Final

import typer

from onramp.cli.hooks import BASE, Events, endpoint_path, split_events
from onramp.cli.options import Json
from onramp.cli.output import CommandError, run
from onramp.cli.remote import ServiceUnreachableError, call

LISTENER_URL: Final = "https://listen.invalid/"
"""The URL of the endpoint that makes the service store messages while somebody listens. It leads nowhere: the command fetches them."""
POLL_SECONDS: Final = 1.0
OVERLAP: Final = timedelta(minutes=5)
"""How far back each look goes, because messages are stored after they have happened, not always in that order."""
MAX_WAIT_SECONDS: Final = 30.0
FORWARD_SECONDS: Final = 15.0


@dataclass(slots=True)
class _Waiting:
    """A message that the local server has not accepted yet."""

    message: dict[str, Any]
    tries: int = 0
    due: float = 0.0


@dataclass(slots=True)
class _Listener:
    """Forwards each message until the local server accepts it."""

    forward: str
    events: list[str]
    secret: str = field(repr=False)
    since: datetime
    as_json: bool
    seen: dict[str, datetime] = field(default_factory=dict)
    waiting: list[_Waiting] = field(default_factory=list)

    def poll(self) -> None:
        """Fetch the messages that are new."""
        cursor = ""
        while True:
            query = {"since": self.since.isoformat(), "limit": 200, "cursor": cursor}
            page = call("GET", f"{BASE}/messages", query=query)
            for message in page["data"]:
                self._take(message)
            cursor = page["nextCursor"] or ""
            if not cursor:
                break
        if self.seen:
            self.since = max(self.since, max(self.seen.values()) - OVERLAP)
            self.seen = {message_id: at for message_id, at in self.seen.items() if at >= self.since}

    def _take(self, message: dict[str, Any]) -> None:
        if message["id"] in self.seen:
            return
        self.seen[message["id"]] = datetime.fromisoformat(message["createdAt"])
        if "*" in self.events or message["type"] in self.events:
            self.waiting.append(_Waiting(message))

    def forward_due(self) -> None:
        """Post every message whose turn it is; one that fails is tried again after a while."""
        for item in list(self.waiting):
            if item.due > time.monotonic():
                continue
            status, problem = run(_post(self.forward, item.message, self.secret))
            item.tries += 1
            if problem is None:
                self.waiting.remove(item)
            else:
                item.due = time.monotonic() + min(2.0 ** (item.tries - 1), MAX_WAIT_SECONDS)
            self._print(item, status, problem)

    def _print(self, item: _Waiting, status: int | None, problem: str | None) -> None:
        message = item.message
        if self.as_json:
            line = {name: message[name] for name in ("id", "type", "subject", "createdAt")}
            _print_line({**line, "tries": item.tries, "status": status, "problem": problem})
        else:
            outcome = f"{status}" if problem is None else f"{problem}; it is sent again"
            typer.echo(f"{message['createdAt']}  {message['type']:<22} {message['subject']}  {outcome}")
            sys.stdout.flush()


def _print_line(document: dict[str, Any]) -> None:
    """Print a document on one line at once, also into a pipe."""
    import orjson

    typer.echo(orjson.dumps(document).decode())
    sys.stdout.flush()


async def _post(url: str, message: dict[str, Any], secret: str) -> tuple[int | None, str | None]:
    """Post a message, signed now; return the HTTP status and why it was not accepted, None if it was."""
    import aiohttp

    from onramp.hooks.signing import Secrets, signed_headers

    body = message["body"].encode()
    headers = signed_headers(Secrets((secret,)), message["id"], datetime.now(UTC), body)
    headers |= {"Content-Type": "application/json", "User-Agent": "Onramp-Webhooks-Listen"}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FORWARD_SECONDS)) as http,
            http.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            accepted = 200 <= response.status < 300
            return response.status, None if accepted else f"the server answered {response.status}"
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None, "the server does not answer"


def listen(
    forward: Annotated[str, typer.Option(help="The local URL to which messages are posted.")],
    events: Events = "*",
    *,
    as_json: Json = False,
) -> None:
    """Post the service's messages to a server on this computer until Ctrl-C, signed with a secret that is printed first.

    Messages begin with the start of the command. Each is posted until the server accepts it with 2xx. No address of this computer has to be
    reachable from outside.

    Example: [bold]onramp hooks listen --forward http://localhost:3000/hooks[/bold]
    """
    if not forward.startswith(("http://", "https://")):
        raise typer.BadParameter("must begin with http:// or https://", param_hint="--forward")
    chosen = split_events(events)
    with _ended_by_sigterm(), _listening(chosen) as endpoint:
        if as_json:
            _print_line({"secret": endpoint["secret"], "forward": forward})
        else:
            typer.echo(f"secret: {endpoint['secret']}")
            typer.echo(f"Messages go to {forward}. Ctrl-C ends this.")
            sys.stdout.flush()
        since = datetime.fromisoformat(endpoint["createdAt"])
        _follow(_Listener(forward, chosen, endpoint["secret"], since, as_json))


def _follow(listener: _Listener) -> None:
    is_reachable = True
    while True:
        try:
            listener.poll()
            if not is_reachable:
                typer.echo("The service answers again.", err=True)
            is_reachable = True
        except ServiceUnreachableError as error:
            if is_reachable:
                typer.echo(f"{error.lines[0]} It is asked again.", err=True)
            is_reachable = False
        listener.forward_due()
        time.sleep(POLL_SECONDS)


@contextmanager
def _listening(events: list[str]) -> Iterator[dict[str, Any]]:
    """Create a disabled endpoint, for which the service stores messages without sending them; delete it afterwards."""
    endpoint = call("POST", BASE, {"url": LISTENER_URL, "events": events})
    path = endpoint_path(endpoint["id"])
    try:
        call("PATCH", path, {"status": "disabled"})
        yield endpoint
    finally:
        try:
            call("DELETE", path)
        except CommandError as error:
            typer.echo(f"onramp: {endpoint['id']} is left behind: delete it with `onramp hooks delete`.", err=True)
            typer.echo(error.lines[0], err=True)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that the endpoint is deleted."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    earlier = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
