"""`onramp audit`: prove the trail, and take it away. Straight on the database, with DATA_KEYS to check the chain."""

import sys
from typing import Annotated, Any

import typer

from onramp.cli.local import reading
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, settings

audit_app = typer.Typer(
    help="The audit trail: verify its chain, export it.\n\nExample: [bold]onramp audit verify[/bold]",
    no_args_is_help=True,
)


def _published(text: str) -> tuple[int, str]:
    number, _, digest = text.partition(":")
    if not (number.isascii() and number.isdigit() and len(number) < 16 and len(digest) == 64):
        raise typer.BadParameter("takes NUMBER:HASH, as the log line audit.head says them", param_hint="--head")
    return int(number), digest.lower()


@audit_app.command("verify")
def verify_audit(
    head: Annotated[
        list[str] | None, typer.Option(help="NUMBER:HASH of a head published earlier; may be repeated.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Walk the whole chain. Exit status 1 at the first row that was changed, added, or taken away.

    A chain that was cut at its end is whole in itself: only a head that was published earlier shows the cut. The log line
    audit.head and the metric onramp_audit_head_number publish each.

    Example: [bold]onramp audit verify --head 1042:5f2c...[/bold]
    """
    from kit.audit import hash_chain

    known = [hash_chain.Head(*_published(text)) for text in head or ()]
    ring = settings().ring

    verdict = reading(lambda connection: hash_chain.verify(connection, ring, known))
    broken = verdict.broken
    if as_json:
        print_json(
            {
                "ok": broken is None,
                "head": {"number": verdict.head.number, "hash": verdict.head.hash},
                "unsealed": verdict.unsealed,
                "broken": None
                if broken is None
                else {"number": broken.number, "entryId": broken.entry_id, "reason": broken.reason},
            }
        )
    if broken is not None:
        row = f" (audit row {broken.entry_id})" if broken.entry_id is not None else ""
        raise CommandError(
            f"onramp: the audit chain is broken at number {broken.number}{row}: {broken.reason}. "
            f"Up to {verdict.head.number} it holds; keep the database as it is, and compare with a backup."
        )
    if not as_json:
        typer.echo(f"The audit chain holds: {verdict.head.number} rows, head {verdict.head.number}:{verdict.head.hash}")
        if verdict.unsealed:
            typer.echo(f"{verdict.unsealed} rows are not linked yet; the worker `audit` does that within a second.")


@audit_app.command("export")
def export_audit(
    after: Annotated[
        int, typer.Option(min=0, help="Only rows beyond this id, to go on where the last export ended.")
    ] = 0,
) -> None:
    """Every row of the trail as JSON lines, in the order they were written.

    Example: [bold]onramp audit export > audit.jsonl[/bold]
    """
    import orjson

    from kit.audit import service as audit_service
    from onramp.treasury.schemas import audit

    async def work(connection: Any) -> None:
        last = after
        while rows := await audit_service.after_id(connection, last, 500):
            for entry in rows:
                line = orjson.dumps(audit.entry(entry).model_dump(mode="json", by_alias=True))
                sys.stdout.write(line.decode() + "\n")
            last = rows[-1].id

    reading(work)
