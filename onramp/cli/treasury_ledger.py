"""`onramp treasury ledger`, `reconcile` and `answer`: the ledger, its comparison with the chain, and explanations of differences."""

from collections.abc import Callable, Mapping
from typing import Annotated, Final

import typer

from onramp.cli import advice
from onramp.cli.options import Json, Note, Otp
from onramp.cli.output import CommandError, print_json, print_more, print_pairs, print_table
from onramp.cli.remote import call
from onramp.cli.treasury import BASE, PageLimit, print_earlier, print_next, with_note

LedgerCursor = Annotated[int, typer.Option(min=0, help="nextCursor of the previous page.")]
_WALLET_ACCOUNTS = ("available", "held", "inFlight")
_OTHER_ACCOUNTS = ("cold", "paidOut", "gas", "suspense", "receivable", "settled")


def ledger(limit: PageLimit = 20, cursor: LedgerCursor = 0, *, as_json: Json = False) -> None:
    """Show where every coin is, and the postings that moved it, the newest first. All accounts of an asset sum to zero.

    Example: [bold]onramp treasury ledger --limit 50[/bold]
    """
    page = call("GET", f"{BASE}/ledger", query={"limit": limit, "cursor": cursor})
    if as_json:
        print_json(page)
        return
    names = ("asset", *_WALLET_ACCOUNTS, *_OTHER_ACCOUNTS)
    rows = [[accounts[name] for name in names] for accounts in page["accounts"]]
    print_table(names, rows, title="accounts", empty="This service pays from no wallet.")
    postings = [
        (f"{row['at'][:19]}Z", f"{row['amount']} {row['asset']}", row["from"], row["to"], row["kind"], row["subject"])
        for row in page["data"]
    ]
    columns = ("at", "amount", "from", "to", "kind", "subject")
    print_table(columns, postings, title="postings", empty="Nothing was posted yet.")
    print_earlier(page["earlier"])
    print_next(*(advice.of_accounts(accounts) for accounts in page["accounts"]), *advice.of_earlier(page["earlier"]))
    print_more(page["nextCursor"])


def reconcile(note: Note = "", otp: Otp = "", *, as_json: Json = False) -> None:
    """Compare ledger and chain now, at one block that the nodes agree on. Exit status 1 while anything is unexplained.

    Example: [bold]onramp treasury reconcile[/bold]
    """
    reconciliation = call("POST", f"{BASE}/reconcile", with_note(note), otp=otp)
    steps = advice.of_reconciliation(reconciliation)
    if as_json:
        print_json(reconciliation)
    else:
        names = ("asset", "onChain", "change", "suspense")
        rows = [[row[name] for name in names] for row in reconciliation["data"]]
        print_table(names, rows, title=f"block {reconciliation['blockNumber']}")
        if reconciliation["unexplained"]:
            columns = ("id", "nonce", "txHash", "to", "note")
            rows = [[row[name] for name in columns] for row in reconciliation["unexplained"]]
            print_table(columns, rows, title="unmatched transactions")
        print_earlier(reconciliation["earlier"])
        if reconciliation["agrees"]:
            typer.echo("Ledger and chain agree.")
        print_next(*steps, *advice.of_earlier(reconciliation["earlier"]))
    if not reconciliation["agrees"]:
        problem, command = steps[0]
        raise CommandError(f"onramp: ledger and chain differ: {problem}: {command}")


def answer(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="An asset such as MUSD, or fgn_...")],
    note: Annotated[str, typer.Option(help="Where it went; kept in the ledger and the audit log.")],
    otp: Otp = "",
    *,
    as_json: Json = False,
) -> None:
    """Explain missing coins or an unmatched transaction, which ends the alarm and lets signing go on; two persons have to do this.

    Example: [bold]onramp treasury answer MUSD --note "Ada moved it by hand on Friday"[/bold]
    """
    resolution = call("POST", f"{BASE}/answer", {"subject": subject, "note": note}, otp=otp)
    if as_json:
        print_json(resolution)
        return
    names = ("status", "amount", "askedBy", "answeredBy", "note")
    print_pairs([(name, resolution[name]) for name in names], title=resolution["subject"])
    if resolution["status"] == "asked":
        print_next(("Another approver confirms it with", f"onramp treasury answer {subject} --note ..."))
    else:
        print_next(("Check whether ledger and chain agree now", "onramp treasury reconcile"))


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "ledger": ledger,
    "reconcile": reconcile,
    "answer": answer,
}
"""The function of each command, by its name after `onramp treasury`."""
