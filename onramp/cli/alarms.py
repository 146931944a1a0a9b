"""`onramp alarms`: what is wrong now, what to do about it, and the acknowledgement by a person."""

from typing import TYPE_CHECKING, Annotated

import typer

from onramp.cli.local import reading
from onramp.cli.options import Json
from onramp.cli.output import print_json, print_table
from onramp.cli.remote import call

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from kit.alarms.model import Alarm

alarms_app = typer.Typer(
    help="Alarms: what is wrong now, and what to do.\n\nExample: [bold]onramp alarms list[/bold]", no_args_is_help=True
)


@alarms_app.command("list")
def list_alarms(
    *,
    ended: Annotated[bool, typer.Option("--all", help="Show ended alarms too, the newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many to show with --all.")] = 50,
    as_json: Json = False,
) -> None:
    """List the active alarms with the next command for each, the oldest first.

    Example: [bold]onramp alarms list[/bold]
    """
    from kit.alarms import service as alarms_service
    from onramp.alarms.schemas import alarm_page

    async def read(conn: "AsyncConnection") -> "list[Alarm]":
        return await alarms_service.page(conn, limit=limit) if ended else await alarms_service.list_active(conn)

    page = alarm_page(reading(read), None)
    if as_json:
        print_json(page.model_dump(mode="json", by_alias=True))
        return
    rows = [
        (alarm.id, alarm.name, alarm.severity, alarm.subject, f"{alarm.raised_at[:19]}Z", alarm.command)
        + ((alarm.ended_by or "",) if ended else ())
        for alarm in page.data
    ]
    headers = ("id", "alarm", "severity", "subject", "raised", "next command") + (("ended by",) if ended else ())
    print_table(headers, rows, empty="No alarm is active.")


@alarms_app.command("acknowledge")
def acknowledge(
    alarm_id: Annotated[str, typer.Argument(metavar="ID", help="alm_..., as `onramp alarms list` shows it.")],
    *,
    as_json: Json = False,
) -> None:
    """Acknowledge an alarm in your name: an event ends, and a condition is not reminded of any more. Needs ONRAMP_API_KEY.

    Example: [bold]onramp alarms acknowledge alm_4k...[/bold]
    """
    alarm = call("POST", f"/api/v1/alarms/{alarm_id}/acknowledge")
    if as_json:
        print_json(alarm)
    elif alarm["endedAt"] is None:
        typer.echo(f"{alarm['name']} of {alarm['subject']} is acknowledged. It stays active until its cause ends.")
    else:
        typer.echo(f"{alarm['name']} of {alarm['subject']} is acknowledged and has ended.")
