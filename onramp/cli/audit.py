"""`onramp audit`: verify and export the audit log, directly from the database; DATA_KEYS checks its hash chain."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from onramp.cli.local import reading
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, settings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

audit_app = typer.Typer(
    help="Verify the audit log's hash chain, or export the log.\n\nExample: [bold]onramp audit verify[/bold]",
    no_args_is_help=True,
)


def parse_head(text: str) -> tuple[int, str]:
    """Return number and hash of a published head such as `1042:5f2c...`. Raises typer.BadParameter for any other text."""
    number, _, digest = text.partition(":")
    if not (number.isascii() and number.isdigit() and len(number) < 16 and len(digest) == 64):
        raise typer.BadParameter("must be NUMBER:HASH, as in the log line audit.head", param_hint="--head")
    return int(number), digest.lower()


@audit_app.command("verify")
def verify_audit(
    head: Annotated[
        list[str] | None, typer.Option(help="NUMBER:HASH of a head published earlier; may be repeated.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Verify the whole hash chain. Exit status 1 at the first row that was changed, added or removed.

    Rows that are missing at the end do not break the chain: only a head that was published earlier reveals them. The log line
    audit.head and the metric onramp_audit_head_number publish each head.

    Example: [bold]onramp audit verify --head 1042:5f2c...[/bold]
    """
    from kit.audit import hash_chain

    published = [hash_chain.Head(*parse_head(text)) for text in head or ()]
    ring = settings().ring

    verdict = reading(lambda conn: hash_chain.verify(conn, ring, published))
    broken = verdict.broken
    if as_json:
        print_json(
            {
                "ok": broken is None,
                "head": {"number": verdict.head.number, "hash": verdict.head.hash},
                "unsealed": verdict.unlinked,
                "broken": None
                if broken is None
                else {"number": broken.number, "entryId": broken.entry_id, "reason": broken.reason},
            }
        )
    if broken is not None:
        row = f" (audit row {broken.entry_id})" if broken.entry_id is not None else ""
        raise CommandError(
            f"onramp: the audit chain is broken at number {broken.number}{row}: {broken.reason}. "
            f"It is valid up to {verdict.head.number}. Keep the database as it is, and compare it with a backup."
        )
    if not as_json:
        head_text = f"{verdict.head.number}:{verdict.head.hash}"
        typer.echo(f"The audit chain is valid: {verdict.head.number} rows, head {head_text}")
        if verdict.unlinked:
            typer.echo(f"{verdict.unlinked} rows are not linked yet; the worker `audit` links them within a second.")


@audit_app.command("export")
def export_audit(
    after: Annotated[
        int, typer.Option(min=0, help="Only rows after this id, to continue where the last export ended.")
    ] = 0,
) -> None:
    """Print every row of the audit log as JSON lines, oldest first.

    Example: [bold]onramp audit export > audit.jsonl[/bold]
    """
    import orjson

    from kit.audit import service as audit_service
    from onramp.treasury.schemas import audit

    async def work(conn: "AsyncConnection") -> None:
        last = after
        while rows := await audit_service.after_id(conn, last, 500):
            for entry in rows:
                line = orjson.dumps(audit.entry(entry).model_dump(mode="json", by_alias=True))
                sys.stdout.write(line.decode() + "\n")
            last = rows[-1].id

    reading(work)
