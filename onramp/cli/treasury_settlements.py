"""`onramp treasury settle-usdc`, `settlements`, `reverse-usdc` and `reject-usdc`: USDC that arrived from Stripe."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import typer

from onramp.cli.options import Cursor, Json, Note, Otp
from onramp.cli.output import print_json, print_more, print_pairs, print_table
from onramp.cli.remote import call
from onramp.cli.treasury import BASE, PageLimit, print_next, with_note

SettlementId = Annotated[str, typer.Argument(metavar="ID", help="stl_..., or the transaction's hash.")]
_FIELDS: Final = (
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
    tx_hash: Annotated[
        str, typer.Option(help="The transaction that brought the USDC, on the network that Stripe delivers to.")
    ],
    session_id: Annotated[str, typer.Option(help="ons_...: clear all that is receivable of this purchase.")] = "",
    amount: Annotated[str, typer.Option(help="USDC; clears the oldest purchases first.")] = "",
    note: Note = "",
    otp: Otp = "",
    *,
    as_json: Json = False,
) -> None:
    """Clear USDC that arrived from Stripe: at once if its chain shows the transfer, else when an approver confirms it.

    Example: [bold]onramp treasury settle-usdc --tx-hash 0x5f2c... --session-id ons_4k...[/bold]
    """
    if bool(session_id) == bool(amount):
        raise typer.BadParameter("give --session-id or --amount, and not both")
    claim = {"txHash": tx_hash, "sessionId": session_id, "amount": amount, "note": note}
    settlement = call("POST", f"{BASE}/settle-usdc", {name: value for name, value in claim.items() if value}, otp=otp)
    if as_json:
        print_json(settlement)
        return
    rows = [(row["subject"], row["amount"], row["by"], f"{row['at'][:19]}Z") for row in settlement["data"]]
    if settlement["status"] == "awaiting_approval":
        _print(settlement)
        option = f"--session-id {session_id}" if session_id else f"--amount {amount}"
        print_next(
            (
                "Not seen on its chain: an approver confirms it",
                f"onramp treasury settle-usdc --tx-hash {tx_hash} {option}",
            )
        )
    else:
        print_table(("session", "USDC", "by", "at"), rows)
    typer.echo(f"Still receivable: {settlement['receivable']} USDC")


def settlements(
    status: Annotated[str, typer.Option(help="Filter by status, such as awaiting_approval.")] = "",
    limit: PageLimit = 20,
    cursor: Cursor = None,
    *,
    as_json: Json = False,
) -> None:
    """List claims that USDC arrived, and what its chain shows of each; the newest first.

    Example: [bold]onramp treasury settlements --status awaiting_approval[/bold]
    """
    page = call("GET", f"{BASE}/settle-usdc", query={"status": status, "limit": limit, "cursor": cursor})
    if as_json:
        print_json(page)
        return
    names = ("id", "status", "amount", "sessionId", "txHash", "verified", "proposedBy", "contradiction")
    print_table(names, [[row[name] for name in names] for row in page["data"]], empty="Nothing was settled yet.")
    print_more(page["nextCursor"])


def reverse_usdc(row_id: SettlementId, note: Note = "", otp: Otp = "", *, as_json: Json = False) -> None:
    """Reverse a settlement of USDC: what it cleared is receivable again. Two persons have to ask for it, the second an approver.

    Example: [bold]onramp treasury reverse-usdc stl_1f... --note "the transfer went elsewhere"[/bold]
    """
    settlement = call("POST", f"{BASE}/settle-usdc/{row_id}/reverse", with_note(note), otp=otp)
    if as_json:
        print_json(settlement)
        return
    _print(settlement)
    if settlement["status"] == "reversal_awaiting_approval":
        print_next(("An approver confirms it", f"onramp treasury reverse-usdc {settlement['id']}"))


def reject_usdc(row_id: SettlementId, note: Note = "", otp: Otp = "", *, as_json: Json = False) -> None:
    """Reject a settlement, or a reversal, that waits for a second person.

    Example: [bold]onramp treasury reject-usdc stl_1f... --note "no such transfer"[/bold]
    """
    settlement = call("POST", f"{BASE}/settle-usdc/{row_id}/reject", with_note(note), otp=otp)
    if as_json:
        print_json(settlement)
        return
    _print(settlement)


def _print(settlement: Mapping[str, Any]) -> None:
    print_pairs([(name, settlement[name]) for name in _FIELDS], title=settlement["id"] or settlement["txHash"])


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "settle-usdc": settle_usdc,
    "settlements": settlements,
    "reverse-usdc": reverse_usdc,
    "reject-usdc": reject_usdc,
}
"""The function of each command, by its name after `onramp treasury`."""
