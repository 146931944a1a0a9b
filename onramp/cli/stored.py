"""Commands that look at what is stored."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

from onramp.cli.local import reading, writing
from onramp.cli.options import Cursor, Json, Limit
from onramp.cli.output import CommandError, print_json, print_table, require_page, say_more
from onramp.sessions.status import PaymentStatus

sessions_app = typer.Typer(
    help="Look at purchases.\n\nExample: [bold]onramp sessions show 0x70997970...[/bold]", no_args_is_help=True
)
events_app = typer.Typer(
    help="Look at stored webhook events, and replay them.\n\nExample: [bold]onramp events list --state parked[/bold]",
    no_args_is_help=True,
)


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
    status: Annotated[PaymentStatus | None, typer.Option(help="Filter by payment status.")] = None,
    cursor: Cursor = None,
    *,
    as_json: Json = False,
) -> None:
    """The newest purchases.

    Example: [bold]onramp sessions list --status fulfillment_processing[/bold]
    """
    from onramp.sessions import schemas
    from onramp.sessions import service as sessions_service

    found = reading(lambda connection: sessions_service.newest(connection, limit + 1, status, cursor))
    require_page(found, cursor)
    page = [schemas.session_response(item, None).model_dump(mode="json", by_alias=True) for item in found[:limit]]
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
    from onramp.sessions import service as sessions_service

    async def work(connection: Any) -> list[dict[str, Any]]:
        return [await describe(connection, item) for item in await sessions_service.find(connection, needle)]

    found = reading(work)
    if not found:
        raise CommandError(f"onramp: nothing is known under {needle!r}. Try `onramp sessions list`.")
    if as_json:
        print_json(found[0] if len(found) == 1 else {"data": found, "nextCursor": None})
        return
    for description in found:
        print_description(description)


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
    from onramp.webhooks import service as webhooks_service

    found = reading(lambda connection: webhooks_service.newest(connection, limit + 1, state, cursor))
    require_page(found, cursor)
    page = [_event(row) for row in found[:limit]]
    columns = ("id", "state", "sessionStatus", "stripeSessionId", "receivedAt", "reason")
    rows = [[item[name] for name in columns] for item in page]
    _show_page(columns, rows, page, more=len(found) > limit, as_json=as_json, empty="No events yet.")


@events_app.command("replay")
def replay_event(event_id: Annotated[str, typer.Argument(metavar="ID", help="Stripe's event id.")]) -> None:
    """Make the workers look at one event's session again; harmless however often.

    Example: [bold]onramp events replay evt_1...[/bold]
    """
    from onramp.webhooks import service as webhooks_service

    if not writing(lambda connection: webhooks_service.replay(connection, event_id)):
        raise CommandError(f"onramp: no event {event_id!r} of a session is stored; nothing was changed.")
    typer.echo(f"{event_id} is pending again; the inbox worker will ask Stripe about its session.")
