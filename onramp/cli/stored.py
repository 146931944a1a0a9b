"""`onramp sessions` and `onramp events`: show stored purchases and webhook events, directly from the database."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from onramp.cli.local import reading, writing
from onramp.cli.options import Cursor, Json, Limit
from onramp.cli.output import CommandError, position, print_json, print_more, print_table, require_page
from onramp.sessions.status import PaymentStatus

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

sessions_app = typer.Typer(
    help="Show purchases.\n\nExample: [bold]onramp sessions show 0x70997970...[/bold]", no_args_is_help=True
)
events_app = typer.Typer(
    help="Show stored webhook events, and replay them.\n\nExample: [bold]onramp events list --state parked[/bold]",
    no_args_is_help=True,
)


def _show_page(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    page: Sequence[Mapping[str, Any]],
    *,
    cursor: str | None,
    as_json: bool,
    empty: str,
) -> None:
    """Print a page as JSON, or its `rows` as a table, with the cursor of the next page, if there is one."""
    if as_json:
        print_json({"data": page, "nextCursor": cursor})
        return
    print_table(columns, rows, empty=empty)
    print_more(cursor)


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
    status: Annotated[PaymentStatus | None, typer.Option(help="Filter by payment status.")] = None,
    cursor: Cursor = None,
    *,
    reference: Annotated[str | None, typer.Option(help="Only purchases with this reference of a dApp's.")] = None,
    as_json: Json = False,
) -> None:
    """List purchases, the newest first.

    Example: [bold]onramp sessions list --status fulfillment_processing[/bold]
    """
    from kit.db.paging import next_cursor
    from onramp.sessions import schemas
    from onramp.sessions import service as sessions_service

    before = position(cursor)
    sessions = reading(lambda conn: sessions_service.newest(conn, limit + 1, status, before, reference=reference))
    require_page(sessions, cursor)
    page = [
        schemas.session_response(session, None).model_dump(mode="json", by_alias=True) for session in sessions[:limit]
    ]
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
    _show_page(columns, rows, page, cursor=next_cursor(sessions, limit), as_json=as_json, empty="No sessions yet.")


@sessions_app.command("show")
def show_session(
    needle: Annotated[
        str, typer.Argument(metavar="ID", help="Our id, Stripe's, a wallet, a transaction hash or a dApp's reference.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Show one purchase: payment, delivery, payout, and all that happened to it in order, including who was notified.

    Example: [bold]onramp sessions show ons_4k...[/bold]
    """
    from onramp.cli.describe import describe, print_description
    from onramp.sessions import service as sessions_service

    async def work(conn: "AsyncConnection") -> list[dict[str, Any]]:
        return [await describe(conn, session) for session in await sessions_service.find(conn, needle)]

    descriptions = reading(work)
    if not descriptions:
        raise CommandError(f"onramp: nothing is stored for {needle!r}. Try `onramp sessions list`.")
    if as_json:
        print_json(descriptions[0] if len(descriptions) == 1 else {"data": descriptions, "nextCursor": None})
        return
    for description in descriptions:
        print_description(description)


@events_app.command("list")
def list_events(
    limit: Limit = 20,
    state: Annotated[
        Literal["pending", "handled", "ignored", "parked"] | None, typer.Option(help="Filter by state.")
    ] = None,
    cursor: Cursor = None,
    *,
    as_json: Json = False,
) -> None:
    """List stored webhook events, the newest first.

    Example: [bold]onramp events list --state parked[/bold]
    """
    from kit.db.paging import Position, encode_position
    from onramp.webhooks import service as webhooks_service

    before = position(cursor)
    events = reading(lambda conn: webhooks_service.newest(conn, limit + 1, state, before))
    require_page(events, cursor)
    page = [_event(row) for row in events[:limit]]
    last = events[limit - 1] if len(events) > limit else None
    following = None if last is None else encode_position(Position(last.received_at, last.id))
    columns = ("id", "state", "sessionStatus", "stripeSessionId", "receivedAt", "reason")
    rows = [[item[name] for name in columns] for item in page]
    _show_page(columns, rows, page, cursor=following, as_json=as_json, empty="No events yet.")


@events_app.command("replay")
def replay_event(event_id: Annotated[str, typer.Argument(metavar="ID", help="Stripe's event id.")]) -> None:
    """Make the workers process one event's session again. May be repeated.

    Example: [bold]onramp events replay evt_1...[/bold]
    """
    from onramp.webhooks import service as webhooks_service

    if not writing(lambda conn: webhooks_service.replay(conn, event_id)):
        raise CommandError(f"onramp: no event {event_id!r} with a session is stored; nothing was changed.")
    typer.echo(f"{event_id} is pending again; the inbox worker will ask Stripe about its session.")
