"""`onramp treasury` about USDC: what arrived from Stripe, on whose word it counts, and taking that back."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import typer

from onramp.cli.options import Cursor, Json, Note, Otp
from onramp.cli.output import print_json, print_pairs, print_table, say_more
from onramp.cli.remote import call
from onramp.cli.treasury import BASE, PageLimit, noted, say_next

SettlementId = Annotated[str, typer.Argument(metavar="ID", help="stl_..., or the transaction's hash.")]
_SHOWN: Final = (
    "status",
    "amount",
    "sessionId",
    "verified",
    "evidence",
    "contradiction",
    "proposedBy",
    "approvedBy",
    "note",
)


def settle_usdc(
    tx_hash: Annotated[str, typer.Option(help="Where the USDC arrived, on the network that Stripe delivers to.")],
    session_id: Annotated[str, typer.Option(help="ons_...: all that this purchase still has to bring.")] = "",
    amount: Annotated[str, typer.Option(help="USDC; the oldest purchases first.")] = "",
    note: Note = "",
    otp: Otp = "",
    *,
    as_json: Json = False,
) -> None:
    """Clear USDC that arrived from Stripe: at once where its chain shows it, else when an approver types the same.

    Example: [bold]onramp treasury settle-usdc --tx-hash 0x5f2c... --session-id ons_4k...[/bold]
    """
    if bool(session_id) == bool(amount):
        raise typer.BadParameter("give --session-id or --amount, and not both")
    asked = {"txHash": tx_hash, "sessionId": session_id, "amount": amount, "note": note}
    found = call("POST", f"{BASE}/settle-usdc", {name: value for name, value in asked.items() if value}, otp=otp)
    if as_json:
        print_json(found)
        return
    rows = [(row["subject"], row["amount"], row["by"], f"{row['at'][:19]}Z") for row in found["data"]]
    if found["status"] == "awaiting_approval":
        _print(found)
        said = f"--session-id {session_id}" if session_id else f"--amount {amount}"
        say_next(
            (
                "Not seen on its chain: an approver confirms it",
                f"onramp treasury settle-usdc --tx-hash {tx_hash} {said}",
            )
        )
    else:
        print_table(("session", "USDC", "by", "at"), rows)
    typer.echo(f"Still receivable: {found['receivable']} USDC")


def settlements(
    status: Annotated[str, typer.Option(help="Only those in this state, such as awaiting_approval.")] = "",
    limit: PageLimit = 20,
    cursor: Cursor = None,
    *,
    as_json: Json = False,
) -> None:
    """Who says that USDC arrived, and what its chain says of it; the newest first.

    Example: [bold]onramp treasury settlements --status awaiting_approval[/bold]
    """
    page = call("GET", f"{BASE}/settle-usdc", query={"status": status, "limit": limit, "cursor": cursor})
    if as_json:
        print_json(page)
        return
    names = ("id", "status", "amount", "sessionId", "txHash", "verified", "proposedBy", "contradiction")
    print_table(names, [[row[name] for name in names] for row in page["data"]], empty="Nothing was settled yet.")
    say_more(page["nextCursor"])


def reverse_usdc(row_id: SettlementId, note: Note = "", otp: Otp = "", *, as_json: Json = False) -> None:
    """Take back a settlement of USDC: what it cleared is receivable again. Two persons type this, the second an approver.

    Example: [bold]onramp treasury reverse-usdc stl_1f... --note "the transfer went elsewhere"[/bold]
    """
    made = call("POST", f"{BASE}/settle-usdc/{row_id}/reverse", noted(note), otp=otp)
    if as_json:
        print_json(made)
        return
    _print(made)
    if made["status"] == "reversal_awaiting_approval":
        say_next(("An approver confirms it", f"onramp treasury reverse-usdc {made['id']}"))


def reject_usdc(row_id: SettlementId, note: Note = "", otp: Otp = "", *, as_json: Json = False) -> None:
    """Say no to a settlement, or to a reversal, that waits for a second person.

    Example: [bold]onramp treasury reject-usdc stl_1f... --note "no such transfer"[/bold]
    """
    made = call("POST", f"{BASE}/settle-usdc/{row_id}/reject", noted(note), otp=otp)
    if as_json:
        print_json(made)
        return
    _print(made)


def _print(made: Mapping[str, Any]) -> None:
    print_pairs([(name, made[name]) for name in _SHOWN], title=made["id"] or made["txHash"])


SETTLING: Final[Mapping[str, Callable[..., None]]] = {
    "settle-usdc": settle_usdc,
    "settlements": settlements,
    "reverse-usdc": reverse_usdc,
    "reject-usdc": reject_usdc,
}
"""What `onramp treasury` does by these names."""
