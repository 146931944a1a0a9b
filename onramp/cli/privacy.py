"""`onramp privacy`: what is kept about people, straight on the database, with DATA_KEYS to read it."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from onramp.cli.local import reading, with_database, writing
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, settings

privacy_app = typer.Typer(
    help="Personal data: show, erase, prune, encrypt anew.\n\nExample: [bold]onramp privacy find[/bold]",
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
    """Everything kept about one wallet, as JSON; it holds personal data in the clear.

    Example: [bold]onramp privacy export --wallet 0x14dC... > dossier.json[/bold]
    """
    from kit.audit import service as audit_service
    from kit.clock import SystemClock
    from kit.crypto.encryption import DecryptionError
    from onramp.privacy.dossier import dossier

    account, ring = _wallet(wallet), settings().ring

    async def work(conn: Any) -> dict[str, Any]:
        found = await dossier(conn, ring, account)
        shown = {"contacts": len(found["contacts"])}
        await audit_service.record(
            conn, audit_service.LOCAL_OPERATOR, "privacy.export", account, None, shown, at=SystemClock().now()
        )
        return found

    try:
        print_json(writing(work))
    except DecryptionError as error:
        raise CommandError(f"onramp: a contact cannot be opened: {error}; nothing was shown.") from error


@privacy_app.command("find")
def find_wallets(*, as_json: Json = False) -> None:
    """The wallets that were bought for with an e-mail address, which is asked for, or read from standard input.

    Example: [bold]onramp privacy find < address.txt[/bold]
    """
    from onramp.privacy import service as privacy_service
    from onramp.sessions.schemas import email_address

    ring = settings().ring
    # Not an argument: those stand in the shell's history, and in every list of processes.
    try:
        email = email_address(typer.prompt("E-mail", default="", show_default=False, err=True).strip())
    except ValueError as error:
        # Not repeated: what was typed may be personal all the same.
        raise typer.BadParameter(f"{error}, such as ada@example.org: nobody was looked for.") from error

    found = reading(lambda conn: privacy_service.wallets_of(conn, ring, email))
    if as_json:
        print_json({"data": found, "nextCursor": None})
        return
    for wallet in found:
        typer.echo(wallet)
    if not found:
        typer.echo("No wallet is known under this address.")


@privacy_app.command("erase")
def erase_wallet(wallet: Wallet) -> None:
    """Delete the contacts of one wallet; money rows and the audit trail stay.

    Example: [bold]onramp privacy erase --wallet 0x14dC...[/bold]
    """
    from kit.audit.service import LOCAL_OPERATOR
    from kit.clock import SystemClock
    from onramp.privacy import service as privacy_service

    account = _wallet(wallet)

    now = SystemClock().now()
    count = writing(lambda conn: privacy_service.erase(conn, account, by=LOCAL_OPERATOR, now=now))
    typer.echo(f"{count} contacts of {account} are deleted. Purchases, payouts and the audit trail are kept.")


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
    """Encrypt every contact under the first key of DATA_KEYS; harmless to repeat.

    Example: [bold]onramp privacy rekey[/bold]
    """
    from kit.audit import service as audit_service
    from kit.clock import SystemClock
    from kit.crypto.encryption import DecryptionError
    from onramp.privacy import service as privacy_service
    from onramp.sessions.contacts import PURPOSE

    ring = settings().ring

    async def work(database: Any) -> int:
        done, last = 0, ""
        while True:
            async with database.write() as conn:
                following, changed = await privacy_service.rekey(conn, ring, after=last, limit=200)
                if changed:
                    after = {"contacts": changed, "key": ring.first(PURPOSE).id}
                    now = SystemClock().now()
                    await audit_service.record(
                        conn, audit_service.LOCAL_OPERATOR, "privacy.rekey", "contacts", None, after, at=now
                    )
            done += changed
            if following is None:
                return done
            last = following

    try:
        count = with_database(work)
    except DecryptionError as error:
        raise CommandError(
            f"onramp: {error}. Put that key back into DATA_KEYS, behind the first, and repeat."
        ) from error
    typer.echo(f"{count} contacts are encrypted anew; all of them stand under the first key of DATA_KEYS.")
    typer.echo("API keys and second factors made under an older key still need that key in DATA_KEYS.")
