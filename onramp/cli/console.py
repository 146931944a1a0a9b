"""`onramp console`: list and end sessions of the console, directly on the database."""

from typing import TYPE_CHECKING, Annotated

import typer

from onramp.cli.keys import as_local_operator
from onramp.cli.local import reading
from onramp.cli.options import Cursor, Json, Limit
from onramp.cli.output import CommandError, position, print_json, print_more, print_table, require_page, settings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from kit.crypto.keyring import KeyRing
    from onramp.auth.api_keys.service import Author
    from onramp.auth.console_sessions.schemas import ConsoleSessionResponse

console_app = typer.Typer(
    help="The operator console.\n\nExample: [bold]onramp console sessions list[/bold]", no_args_is_help=True
)
sessions_app = typer.Typer(
    help="Sessions of the console, in this computer's database.\n\nExample: [bold]onramp console sessions list[/bold]",
    no_args_is_help=True,
)
console_app.add_typer(sessions_app, name="sessions")


@console_app.callback()
def console() -> None:
    """The operator console."""


@sessions_app.command("list")
def listing(*, limit: Limit = 50, cursor: Cursor = None, as_json: Json = False) -> None:
    """List the sessions that are valid now, the newest first.

    Example: [bold]onramp console sessions list[/bold]
    """
    from kit.clock import SystemClock
    from onramp.auth.console_sessions import schemas
    from onramp.auth.console_sessions import service as console_sessions_service
    from onramp.auth.oidc.config import oidc_persons

    before, now, persons = position(cursor), SystemClock().now(), oidc_persons(settings())
    found = reading(
        lambda conn: console_sessions_service.newest(conn, persons, now, caller_id=None, limit=limit + 1, before=before)
    )
    require_page(found, cursor)
    # What depends on the request, or is counted by the service, is left out below.
    names = {session.person: 0 for session in found}
    page = schemas.listed(found, limit, current=None, passkeys=names)
    if as_json:
        print_json(page.model_dump(mode="json", by_alias=True, exclude={"data": {"__all__": {"current", "passkeys"}}}))
        return
    rows = [_row(session) for session in page.data]
    print_table(("id", "person", "role", "by", "since", "last used"), rows, empty="Nobody is logged in to the console.")
    print_more(page.next_cursor)


def _row(session: "ConsoleSessionResponse") -> tuple[str, ...]:
    method = session.key_id or session.method
    return session.id, session.person, session.role, method, session.created_at[:16], session.last_used_at[:16]


@sessions_app.command("end")
def end(session_id: Annotated[str, typer.Argument(metavar="ID", help="cs_...")]) -> None:
    """End a session of the console at once. To keep its person out, revoke the key as well.

    Example: [bold]onramp console sessions end cs_3n5p7q9r[/bold]
    """
    from onramp.auth.console_sessions import service as console_sessions_service

    async def work(conn: "AsyncConnection", author: "Author", _ring: "KeyRing") -> None:
        await console_sessions_service.end(conn, session_id, by=author.id, action="console.end", now=author.now)

    if not session_id.startswith("cs_"):
        raise CommandError(
            "onramp: the id of a session of the console begins with cs_; `onramp console sessions list` shows them"
        )
    as_local_operator(work)
    typer.echo(f"{session_id}: ended.")
