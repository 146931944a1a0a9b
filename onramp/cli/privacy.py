"""`onramp privacy`: personal data, directly on the database; DATA_KEYS decrypts it."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onramp.cli.local import reading, with_database, writing
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, settings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from kit.db.database import Database

privacy_app = typer.Typer(
    help="Personal data: export, find, erase, prune, re-encrypt.\n\nExample: [bold]onramp privacy find[/bold]",
    no_args_is_help=True,
)
Wallet = Annotated[str, typer.Option("--wallet", help="The wallet's 0x address.")]


def _wallet(text: str) -> str:
    from chain.types import to_checksum

    try:
        return to_checksum(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--wallet") from error


@privacy_app.command("export")
def export_wallet(wallet: Wallet) -> None:
    """Print everything stored about one wallet as JSON; it contains personal data in clear text.

    Example: [bold]onramp privacy export --wallet 0x14dC... > dossier.json[/bold]
    """
    from kit.audit import service as audit_service
    from kit.clock import SystemClock
    from kit.crypto.encryption import DecryptionError
    from onramp.privacy.dossier import dossier

    account, ring = _wallet(wallet), settings().ring

    async def work(conn: "AsyncConnection") -> dict[str, Any]:
        document = await dossier(conn, ring, account)
        facts = {"contacts": len(document["contacts"])}
        await audit_service.record(
            conn, audit_service.LOCAL_OPERATOR, "privacy.export", account, None, facts, at=SystemClock().now()
        )
        return document

    try:
        print_json(writing(work))
    except DecryptionError as error:
        raise CommandError(f"onramp: a contact cannot be decrypted: {error}; nothing was printed.") from error


@privacy_app.command("find")
def find_wallets(*, as_json: Json = False) -> None:
    """List the wallets that purchases with an e-mail address went to; the command asks for it, or reads it from standard input.

    Example: [bold]onramp privacy find < address.txt[/bold]
    """
    from onramp.privacy import service as privacy_service
    from onramp.sessions.schemas import email_address

    ring = settings().ring
    # Not an argument, because arguments appear in the shell's history and in process lists.
    try:
        email = email_address(typer.prompt("E-mail", default="", show_default=False, err=True).strip())
    except ValueError as error:
        # The input is not repeated: even if it is not an address, it may be personal.
        raise typer.BadParameter(f"{error}, such as ada@example.org: nothing was searched.") from error

    wallets = reading(lambda conn: privacy_service.wallets_of(conn, ring, email))
    if as_json:
        print_json({"data": wallets, "nextCursor": None})
        return
    for wallet in wallets:
        typer.echo(wallet)
    if not wallets:
        typer.echo("No wallet is stored with this address.")


@privacy_app.command("erase")
def erase_wallet(wallet: Wallet) -> None:
    """Delete the contacts of one wallet; purchases, payouts and the audit log stay.

    Example: [bold]onramp privacy erase --wallet 0x14dC...[/bold]
    """
    from kit.audit.service import LOCAL_OPERATOR
    from kit.clock import SystemClock
    from onramp.privacy import service as privacy_service

    account = _wallet(wallet)

    now = SystemClock().now()
    count = writing(lambda conn: privacy_service.erase(conn, account, by=LOCAL_OPERATOR, now=now))
    typer.echo(f"{count} contacts of {account} are deleted. Purchases, payouts and the audit log are kept.")


@privacy_app.command("prune")
def prune() -> None:
    """Delete contacts older than PRIVACY_RETENTION_DAYS; the worker `janitor` does that hourly.

    Example: [bold]onramp privacy prune[/bold]
    """
    from kit.audit.service import LOCAL_OPERATOR
    from kit.clock import SystemClock
    from onramp.privacy import service as privacy_service

    days = settings().PRIVACY_RETENTION_DAYS

    now = SystemClock().now()
    count = writing(lambda conn: privacy_service.prune(conn, now - timedelta(days=days), by=LOCAL_OPERATOR, now=now))
    typer.echo(f"{count} contacts older than {days} days are deleted.")


@privacy_app.command("rekey")
def rekey() -> None:
    """Re-encrypt every contact with the first key of DATA_KEYS. May be repeated.

    Example: [bold]onramp privacy rekey[/bold]
    """
    from kit.audit import service as audit_service
    from kit.clock import SystemClock
    from kit.crypto.encryption import DecryptionError
    from onramp.privacy import service as privacy_service
    from onramp.sessions.contacts import PURPOSE

    ring = settings().ring

    async def work(database: "Database") -> int:
        total, last = 0, ""
        while True:
            async with database.write() as conn:
                following, changed = await privacy_service.rekey(conn, ring, after=last, limit=200)
                if changed:
                    after = {"contacts": changed, "key": ring.first(PURPOSE).id}
                    now = SystemClock().now()
                    await audit_service.record(
                        conn, audit_service.LOCAL_OPERATOR, "privacy.rekey", "contacts", None, after, at=now
                    )
            total += changed
            if following is None:
                return total
            last = following

    try:
        count = with_database(work)
    except DecryptionError as error:
        raise CommandError(
            f"onramp: {error}. Put that key back into DATA_KEYS, after the first, and repeat."
        ) from error
    typer.echo(f"{count} contacts were re-encrypted; all are now encrypted with the first key of DATA_KEYS.")
    typer.echo("API keys and second factors made with an older key still need that key in DATA_KEYS.")
