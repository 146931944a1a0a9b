"""`onramp treasury` where it changes something: each order is one request to the service, as the holder of ONRAMP_API_KEY."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import typer

from onramp.cli.options import Json, Note, Otp
from onramp.cli.output import print_json, print_pairs
from onramp.cli.remote import call
from onramp.cli.treasury import BASE, Watch, noted, path_of, room_of, say_next, show_row, watch_row

Id = Annotated[str, typer.Argument(metavar="ID", help="pay_... or swp_...")]
PayoutId = Annotated[str, typer.Argument(metavar="ID", help="pay_...")]
Scope = Annotated[Literal["sales", "payouts", "sweeps", "all"], typer.Option(help="What; payouts stop sales, too.")]


def _order(row_id: str, action: str, body: dict[str, Any], *, otp: str, as_json: bool) -> None:
    show_row(call("POST", path_of(row_id, f"/{action}"), body, otp=otp), as_json=as_json)


def _payout(row_id: str) -> str:
    if room_of(row_id) != "payouts":
        raise typer.BadParameter("takes the id of a payout (pay_...)", param_hint="ID")
    return row_id


def approve(row_id: Id, note: Note = "", otp: Otp = "", *, watch: Watch = False, as_json: Json = False) -> None:
    """Say yes to what another person proposed, or to a payout above a limit.

    Example: [bold]onramp treasury approve swp_4k... --note "as agreed on the phone" --watch[/bold]
    """
    if not watch:
        _order(row_id, "approve", noted(note), otp=otp, as_json=as_json)
        return
    watch_row(call("POST", path_of(row_id, "/approve"), noted(note), otp=otp), as_json=as_json)


def reject(row_id: Id, note: Note = "", otp: Otp = "", *, as_json: Json = False) -> None:
    """Say no to a payout or sweep that has no nonce yet. A buyer stays unpaid until `retry` or `settle`.

    Example: [bold]onramp treasury reject pay_4k... --note "the buyer asked for it"[/bold]
    """
    _order(row_id, "reject", noted(note), otp=otp, as_json=as_json)


def retry(row_id: PayoutId, note: Note = "", otp: Otp = "", *, as_json: Json = False) -> None:
    """Another attempt at a payout that was reverted or rejected; two persons have to type this.

    Example: [bold]onramp treasury retry pay_4k...[/bold]
    """
    _order(_payout(row_id), "retry", noted(note), otp=otp, as_json=as_json)


def settle(
    row_id: PayoutId,
    tx_hash: Annotated[str, typer.Option(help="The transfer that made it good; the chain is asked.")] = "",
    note: Note = "",
    otp: Otp = "",
    *,
    as_json: Json = False,
) -> None:
    """Close a payout that was reverted or rejected, and made good elsewhere: by a transfer, or as a note says.

    Example: [bold]onramp treasury settle pay_4k... --tx-hash 0x5f2c...[/bold]
    """
    if not tx_hash and not note.strip():
        raise typer.BadParameter("give --tx-hash, or say in --note how the buyer was made good")
    body = noted(note, txHash=tx_hash) if tx_hash else noted(note)
    _order(_payout(row_id), "settle", body, otp=otp, as_json=as_json)


def _pausing(verb: str, scope: str, note: str, otp: str, *, as_json: bool) -> None:
    state = call("POST", f"{BASE}/{verb}", noted(note, scope=scope), otp=otp)
    if as_json:
        print_json(state)
        return
    print_pairs([(name, "PAUSED" if state[name] else "running") for name in ("sales", "payouts", "sweeps")])
    if state["paused"]:
        say_next(("Another approver lets them go again with", "onramp treasury resume"))


def pause(scope: Scope = "all", note: Note = "", *, as_json: Json = False) -> None:
    """Stop sales, payouts, sweeps, or all of them, at once. What is signed already is still broadcast and proved.

    Example: [bold]onramp treasury pause --scope payouts --note "the node tells odd balances"[/bold]
    """
    _pausing("pause", scope, note, "", as_json=as_json)


def resume(scope: Scope = "all", note: Note = "", otp: Otp = "", *, as_json: Json = False) -> None:
    """Let go again what another person paused.

    Example: [bold]onramp treasury resume --note "it was a slow node"[/bold]
    """
    _pausing("resume", scope, note, otp, as_json=as_json)


ORDERS: Final[Mapping[str, Callable[..., None]]] = {
    "approve": approve,
    "reject": reject,
    "retry": retry,
    "settle": settle,
    "pause": pause,
    "resume": resume,
}
"""What `onramp treasury` does by these names."""
