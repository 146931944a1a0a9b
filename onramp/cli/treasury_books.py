"""`onramp treasury` about the books: where every coin is, and what a person has to say where ledger and chain differ."""

from collections.abc import Callable, Mapping
from typing import Annotated, Final

import typer

from onramp.cli import advice
from onramp.cli.options import Json, Note, Otp
from onramp.cli.output import CommandError, print_json, print_pairs, print_table, say_more
from onramp.cli.remote import call
from onramp.cli.treasury import BASE, PageLimit, noted, print_earlier, say_next

LedgerCursor = Annotated[int, typer.Option(min=0, help="nextCursor of the page before.")]
_WALLET = ("available", "held", "inFlight")
_ELSEWHERE = ("cold", "paidOut", "gas", "suspense", "receivable", "settled")


def ledger(limit: PageLimit = 20, cursor: LedgerCursor = 0, *, as_json: Json = False) -> None:
    """Where every coin is, and its movements, the newest first. Every account and its counterparts sum to zero.

    Example: [bold]onramp treasury ledger --limit 50[/bold]
    """
    page = call("GET", f"{BASE}/ledger", query={"limit": limit, "cursor": cursor})
    if as_json:
        print_json(page)
        return
    names = ("asset", *_WALLET, *_ELSEWHERE)
    rows = [[one[name] for name in names] for one in page["accounts"]]
    print_table(names, rows, title="accounts", empty="This service pays from no wallet.")
    moved = [
        (f"{row['at'][:19]}Z", f"{row['amount']} {row['asset']}", row["from"], row["to"], row["kind"], row["subject"])
        for row in page["data"]
    ]
    print_table(("at", "amount", "from", "to", "kind", "subject"), moved, title="movements", empty="Nothing moved yet.")
    print_earlier(page["earlier"])
    say_next(*(advice.of_accounts(one) for one in page["accounts"]), *advice.of_earlier(page["earlier"]))
    say_more(page["nextCursor"])


def reconcile(note: Note = "", otp: Otp = "", *, as_json: Json = False) -> None:
    """Compare ledger and chain now, at one block that the nodes agree on. Exit status 1 while anything is unexplained.

    Example: [bold]onramp treasury reconcile[/bold]
    """
    found = call("POST", f"{BASE}/reconcile", noted(note), otp=otp)
    steps = advice.of_reconciliation(found)
    if as_json:
        print_json(found)
    else:
        names = ("asset", "onChain", "change", "suspense")
        print_table(
            names, [[one[name] for name in names] for one in found["data"]], title=f"block {found['blockNumber']}"
        )
        odd = ("id", "nonce", "txHash", "to", "note")
        if found["unexplained"]:
            print_table(odd, [[one[name] for name in odd] for one in found["unexplained"]], title="no row explains")
        print_earlier(found["earlier"])
        if found["agrees"]:
            typer.echo("Ledger and chain agree.")
        say_next(*steps, *advice.of_earlier(found["earlier"]))
    if not found["agrees"]:
        said, command = steps[0]
        raise CommandError(f"onramp: ledger and chain differ: {said}: {command}")


def answer(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="An asset such as MUSD, or fgn_...")],
    note: Annotated[str, typer.Option(help="Where it went; kept in ledger and audit trail.")],
    otp: Otp = "",
    *,
    as_json: Json = False,
) -> None:
    """Close an alarm about lost coins or a transaction of another hand, and let signing go on; two persons type this.

    Example: [bold]onramp treasury answer MUSD --note "Ada moved it by hand on Friday"[/bold]
    """
    made = call("POST", f"{BASE}/answer", {"subject": subject, "note": note}, otp=otp)
    if as_json:
        print_json(made)
        return
    names = ("status", "amount", "askedBy", "answeredBy", "note")
    print_pairs([(name, made[name]) for name in names], title=made["subject"])
    if made["status"] == "asked":
        say_next(("Another approver closes it with", f"onramp treasury answer {subject} --note ..."))
    else:
        say_next(("See whether all agrees now", "onramp treasury reconcile"))


BOOKS: Final[Mapping[str, Callable[..., None]]] = {
    "ledger": ledger,
    "reconcile": reconcile,
    "answer": answer,
}
"""What `onramp treasury` does by these names."""
