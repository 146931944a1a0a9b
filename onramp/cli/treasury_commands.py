"""`onramp treasury approve`, `reject`, `retry`, `settle`, `pause` and `resume`: each is one request with the key in ONRAMP_API_KEY."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import typer

from onramp.cli.options import Json, Note, Otp
from onramp.cli.output import print_json, print_pairs
from onramp.cli.remote import call
from onramp.cli.treasury import BASE, Watch, collection_of, path_of, print_next, show_row, watch_row, with_note

Id = Annotated[str, typer.Argument(metavar="ID", help="pay_... or swp_...")]
PayoutId = Annotated[str, typer.Argument(metavar="ID", help="pay_...")]
Scope = Annotated[
    Literal["sales", "payouts", "sweeps", "all"],
    typer.Option(help="What to stop or resume; pausing payouts also stops sales."),
]


def _run(row_id: str, action: str, body: dict[str, Any], *, otp: str, as_json: bool) -> None:
    show_row(call("POST", path_of(row_id, f"/{action}"), body, otp=otp), as_json=as_json)


def _payout(row_id: str) -> str:
    if collection_of(row_id) != "payouts":
        raise typer.BadParameter("must be the id of a payout (pay_...)", param_hint="ID")
    return row_id


def approve(row_id: Id, note: Note = "", otp: Otp = "", *, watch: Watch = False, as_json: Json = False) -> None:
    """Approve what another person proposed, or a payout above a limit.

    Example: [bold]onramp treasury approve swp_4k... --note "as agreed on the phone" --watch[/bold]
    """
    if not watch:
        _run(row_id, "approve", with_note(note), otp=otp, as_json=as_json)
        return
    watch_row(call("POST", path_of(row_id, "/approve"), with_note(note), otp=otp), as_json=as_json)


def reject(row_id: Id, note: Note = "", otp: Otp = "", *, as_json: Json = False) -> None:
    """Reject a payout or sweep that has no nonce yet. The buyer of a rejected payout is unpaid until `retry` or `settle`.

    Example: [bold]onramp treasury reject pay_4k... --note "the buyer asked for it"[/bold]
    """
    _run(row_id, "reject", with_note(note), otp=otp, as_json=as_json)


def retry(row_id: PayoutId, note: Note = "", otp: Otp = "", *, as_json: Json = False) -> None:
    """Try a reverted or rejected payout again; two persons have to ask for it.

    Example: [bold]onramp treasury retry pay_4k...[/bold]
    """
    _run(_payout(row_id), "retry", with_note(note), otp=otp, as_json=as_json)


def settle(
    row_id: PayoutId,
    tx_hash: Annotated[str, typer.Option(help="The transfer that made it good; checked on the chain.")] = "",
    note: Note = "",
    otp: Otp = "",
    *,
    as_json: Json = False,
) -> None:
    """Close a reverted or rejected payout that was made good elsewhere: by a transfer, or as the note says.

    Example: [bold]onramp treasury settle pay_4k... --tx-hash 0x5f2c...[/bold]
    """
    if not tx_hash and not note.strip():
        raise typer.BadParameter("give --tx-hash, or say in --note how the buyer was made good")
    body = with_note(note, txHash=tx_hash) if tx_hash else with_note(note)
    _run(_payout(row_id), "settle", body, otp=otp, as_json=as_json)


def _pause_or_resume(action: str, scope: str, note: str, otp: str, *, as_json: bool) -> None:
    state = call("POST", f"{BASE}/{action}", with_note(note, scope=scope), otp=otp)
    if as_json:
        print_json(state)
        return
    print_pairs([(name, "PAUSED" if state[name] else "running") for name in ("sales", "payouts", "sweeps")])
    if state["paused"]:
        print_next(("Another approver resumes them with", "onramp treasury resume"))


def pause(scope: Scope = "all", note: Note = "", *, as_json: Json = False) -> None:
    """Stop sales, payouts, sweeps, or all of them, at once. Signed transactions are still broadcast and proved.

    Example: [bold]onramp treasury pause --scope payouts --note "the node reports odd balances"[/bold]
    """
    _pause_or_resume("pause", scope, note, "", as_json=as_json)


def resume(scope: Scope = "all", note: Note = "", otp: Otp = "", *, as_json: Json = False) -> None:
    """Resume what another person paused.

    Example: [bold]onramp treasury resume --note "it was a slow node"[/bold]
    """
    _pause_or_resume("resume", scope, note, otp, as_json=as_json)


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "approve": approve,
    "reject": reject,
    "retry": retry,
    "settle": settle,
    "pause": pause,
    "resume": resume,
}
"""The function of each command, by its name after `onramp treasury`."""
