"""Commands that look at what is stored."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import typer

from onramp.cli.output import Refused, print_json, print_pairs, print_table, run, say_more, settings
from onramp.sessions.machine import PaymentStatus

sessions_app = typer.Typer(
    help="Look at purchases.\n\nExample: [bold]onramp sessions show 0x70997970...[/bold]", no_args_is_help=True
)
events_app = typer.Typer(
    help="Look at stored webhook events, and replay them.\n\nExample: [bold]onramp events list --state parked[/bold]",
    no_args_is_help=True,
)
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")]
Cursor = Annotated[str | None, typer.Option(help="nextCursor of the page before.")]
Result = TypeVar("Result")


def with_database(work: Callable[[Any], Awaitable[Result]], *, as_it_is: bool = False) -> Result:
    """Open the database of the environment, do `work`, close it. As for `serve` it fits this version first, unless `as_it_is`."""
    from kit.database import DATABASE_ERRORS, connect, reason_of
    from onramp import migrations

    loaded = settings()

    async def inner() -> Result:
        database = connect(loaded.DATABASE_URL.get_secret_value())
        try:
            if not as_it_is and not await migrations.ready(database, is_production=loaded.is_production):
                raise Refused(f"onramp: {migrations.BEHIND}")
            return await work(database)
        finally:
            await database.close()

    try:
        return run(inner())
    except DATABASE_ERRORS as error:
        raise Refused(f"onramp: the database cannot be used: {reason_of(error)}. Is DATABASE_URL right?") from error


def _show_page(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    page: Sequence[Mapping[str, Any]],
    *,
    more: bool,
    as_json: bool,
    empty: str,
) -> None:
    """A page as JSON, or its `rows` as a table, with the cursor of the next where there is `more`."""
    cursor = page[-1]["id"] if more else None
    if as_json:
        print_json({"data": page, "nextCursor": cursor})
        return
    print_table(columns, rows, empty=empty)
    say_more(cursor)


def _event(row: Any) -> dict[str, object]:
    from kit.clock import rfc3339

    return {
        "id": row.id,
        "type": row.type,
        "stripeSessionId": row.stripe_session_id,
        "sessionStatus": row.session_status,
        "state": row.state,
        "reason": row.reason,
        "tries": row.tries,
        "createdAt": rfc3339(row.created_at),
        "receivedAt": rfc3339(row.received_at),
        "handledAt": rfc3339(row.handled_at) if row.handled_at else None,
    }


@sessions_app.command("list")
def list_sessions(
    limit: Limit = 20,
    status: Annotated[PaymentStatus | None, typer.Option(help="Only those whose payment stands so.")] = None,
    cursor: Cursor = None,
    *,
    as_json: Json = False,
) -> None:
    """The newest purchases.

    Example: [bold]onramp sessions list --status fulfillment_processing[/bold]
    """
    from onramp.sessions import service, shapes

    async def work(database: Any) -> list[Any]:
        async with database.read() as connection:
            return await service.newest(connection, limit + 1, status, cursor)

    found = with_database(work)
    page = [shapes.answer(item, None).model_dump(mode="json", by_alias=True) for item in found[:limit]]
    rows = [
        (
            item["id"],
            item["status"],
            item["payment"]["status"],
            item["delivery"]["status"],
            f"{item['sourceAmount']} {item['sourceCurrency']}",
            item["walletAddress"],
        )
        for item in page
    ]
    columns = ("session", "status", "payment", "delivery", "amount", "wallet")
    _show_page(columns, rows, page, more=len(found) > limit, as_json=as_json, empty="No sessions yet.")


@sessions_app.command("show")
def show_session(
    needle: Annotated[str, typer.Argument(metavar="ID", help="Ours, Stripe's, a wallet or a transaction hash.")],
    *,
    as_json: Json = False,
) -> None:
    """One purchase with its events, delivery and payout.

    Example: [bold]onramp sessions show ons_4k...[/bold]
    """
    from onramp.cli.describe import describe, print_description
    from onramp.sessions import service

    async def work(database: Any) -> list[dict[str, Any]]:
        async with database.read() as connection:
            return [await describe(connection, item) for item in await service.find(connection, needle)]

    found = with_database(work)
    if not found:
        raise Refused(f"onramp: nothing is known under {needle!r}. Try `onramp sessions list`.")
    if as_json:
        print_json(found[0] if len(found) == 1 else {"data": found, "nextCursor": None})
        return
    for description in found:
        print_description(description, print_pairs, print_table)


@events_app.command("list")
def list_events(
    limit: Limit = 20,
    state: Annotated[
        Literal["pending", "handled", "ignored", "parked"] | None, typer.Option(help="Only those that stand so.")
    ] = None,
    cursor: Cursor = None,
    *,
    as_json: Json = False,
) -> None:
    """Stored webhook events, newest first.

    Example: [bold]onramp events list --state parked[/bold]
    """
    from onramp.webhooks import service

    async def work(database: Any) -> list[dict[str, object]]:
        async with database.read() as connection:
            return [_event(row) for row in await service.newest(connection, limit + 1, state, cursor)]

    found = with_database(work)
    page = found[:limit]
    columns = ("id", "state", "sessionStatus", "stripeSessionId", "receivedAt", "reason")
    rows = [[item[name] for name in columns] for item in page]
    _show_page(columns, rows, page, more=len(found) > limit, as_json=as_json, empty="No events yet.")


@events_app.command("replay")
def replay_event(event_id: Annotated[str, typer.Argument(metavar="ID", help="Stripe's event id.")]) -> None:
    """Make the workers look at one event's session again; harmless however often.

    Example: [bold]onramp events replay evt_1...[/bold]
    """
    from onramp.webhooks import service

    async def work(database: Any) -> bool:
        async with database.write() as connection:
            return await service.replay(connection, event_id)

    if not with_database(work):
        raise Refused(f"onramp: no event {event_id!r} of a session is stored; nothing was changed.")
    typer.echo(f"{event_id} is pending again; the inbox worker will ask Stripe about its session.")
