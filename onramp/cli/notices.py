"""`onramp notices`: test where notifications go."""

import asyncio
from typing import TYPE_CHECKING

import typer

from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, print_table, run, settings

if TYPE_CHECKING:
    from kit.notices.targets import Target
    from onramp.config.settings import Settings

notices_app = typer.Typer(
    help="Notifications for operators.\n\nExample: [bold]onramp notices test[/bold]", no_args_is_help=True
)


@notices_app.callback()
def notices() -> None:
    """Notifications for operators."""


@notices_app.command("test")
def send_test(*, as_json: Json = False) -> None:
    """Send a test notification to each target of NOTICE_URLS and report each result. Exit status 1 if one fails.

    Example: [bold]onramp notices test[/bold]
    """
    results = run(_send(settings()))
    if as_json:
        print_json([{"target": name, "ok": not reason, "detail": reason} for name, reason in results])
    else:
        rows = [("FAIL" if reason else "ok", name, reason or "it took the message") for name, reason in results]
        print_table(("", "target", "detail"), rows, empty="NOTICE_URLS names no target: no notifications are sent.")
    failed = [name for name, reason in results if reason]
    if failed:
        raise CommandError(f"onramp: not reached: {', '.join(failed)}")


async def _send(loaded: "Settings") -> list[tuple[str, str]]:
    """Return the name of each target and why it failed; an empty text if it did not."""
    from kit.clock import SystemClock
    from kit.http.outbound import OutboundClient
    from kit.http.outbound_urls import OutboundRules
    from kit.ids import RandomIds
    from onramp.bootstrap.factories import make_mailer
    from onramp.notices import content
    from onramp.notices.model import Notice, NoticeKind, NoticeStatus
    from onramp.notices.senders import Failed, Senders

    clock, ids = SystemClock(), RandomIds()
    http = OutboundClient(OutboundRules(development=not loaded.is_production))
    senders = Senders(http, make_mailer(loaded, clock))

    async def send(target: "Target") -> tuple[str, str]:
        now = clock.now()
        body = content.test_content(target, now)
        notice = Notice(
            ids.new("ntc_"), NoticeKind.TEST, "notices.test", target.name, None, None, target.name, "info", body,
            NoticeStatus.WAITING, 0, None, now, now, None,
        )  # fmt: skip
        result = await senders.send(target, notice, content.text(notice, target), now)
        return target.name, result.reason if isinstance(result, Failed) else ""

    try:
        return await asyncio.gather(*(send(target) for target in loaded.notice_targets))
    finally:
        await http.close()
