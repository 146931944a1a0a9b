"""`onramp treasury`: what is there, what is wrong with it, and what to type next. Everything goes through the service's routes.

An operator at three in the morning has a key and a terminal, and seldom the database; so reading, too, asks the service.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from onramp.cli import advice
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, print_pairs, print_table, say_more
from onramp.cli.remote import call
from treasury.core.status import Status

treasury_app = typer.Typer(
    help="The operator's hand on the money. Needs ONRAMP_API_KEY.\n\nExample: [bold]onramp treasury balances[/bold]",
    no_args_is_help=True,
)
BASE = "/api/v1/treasury"
Watch = Annotated[bool, typer.Option("--watch", help="Follow it until it is over.")]
PageLimit = Annotated[int, typer.Option(min=1, max=200, help="At most this many.")]
PageCursor = Annotated[str, typer.Option(help="nextCursor of the page before.")]
RowStatus = Annotated[Status | None, typer.Option(help="Only those in this state, such as held.")]
_WATCH_SECONDS = 1.0


def say_next(*pairs: tuple[str, str]) -> None:
    """What is wrong, and the command that goes on with it; each said once."""
    for said, command in dict.fromkeys(pair for pair in pairs if pair[1]):
        typer.echo(f"{said}: {command}" if said else command)


def room_of(row_id: str) -> str:
    """Payouts or sweeps, by the id. Wrong usage for anything else."""
    rooms = {"pay_": "payouts", "swp_": "sweeps"}
    if row_id[:4] not in rooms:
        raise typer.BadParameter("takes the id of a payout (pay_...) or of a sweep (swp_...)", param_hint="ID")
    return rooms[row_id[:4]]


def path_of(row_id: str, action: str = "") -> str:
    """Where a payout or sweep is asked for, or ordered about."""
    return f"{BASE}/{room_of(row_id)}/{quote(row_id, safe='')}{action}"


def noted(note: str, **body: Any) -> dict[str, Any]:
    """The body of an order, with the note where there is one."""
    return {**body, "note": note} if note else body


def _print_history(row: Mapping[str, Any]) -> None:
    lines = [(line["at"], line["from"], line["to"], line["by"], line["note"]) for line in row["history"]]
    print_table(("at", "from", "to", "by", "note"), lines)


def show_row(row: dict[str, Any], *, as_json: bool) -> None:
    """One payout or sweep with its history, and what to type next."""
    if as_json:
        print_json(row)
        return
    names = ("status", "reason", "sessionId", "asset", "amount", "to", "proposedBy", "approvedBy", "retryBy", "txHash")
    print_pairs([(name, row.get(name)) for name in names], title=row["id"])
    _print_history(row)
    say_next(advice.of_row(row))


def watch_row(row: dict[str, Any], *, as_json: bool) -> None:
    """Follow a payout or sweep until it is over; exit status 1 where it ended without arriving."""
    import time

    seen = 0
    while True:
        for line in () if as_json else row["history"][seen:]:
            typer.echo(f"{line['at']}  {line['to']:<18} {line['by']}  {line['note']}".rstrip())
        seen = len(row["history"])
        if row["status"] in advice.OVER:
            break
        time.sleep(_WATCH_SECONDS)
        row = call("GET", path_of(row["id"]))
    if as_json:
        print_json(row)
    if row["status"] != "final":
        said, command = advice.of_row(row)
        raise CommandError(f"onramp: {row['id']} ended {row['status']}. {said}: {command}" if command else
                      f"onramp: {row['id']} ended {row['status']}.")  # fmt: skip


def _show_page(page: dict[str, Any], *, as_json: bool, empty: str) -> None:
    if as_json:
        print_json(page)
        return
    told = [(row, *advice.of_row(row)) for row in page["data"]]
    rows = [
        (row["id"], row["status"], f"{row['amount']} {row['asset']}", row["to"], f"{row['createdAt'][:19]}Z", said)
        for row, said, _ in told
    ]
    print_table(("id", "status", "amount", "to", "created", ""), rows, empty=empty)
    urgent = {"held", "awaiting_approval", "reverted", "rejected"}
    say_next(*((f"{row['id']} {said}", command) for row, said, command in told if row["status"] in urgent))
    say_more(page["nextCursor"])


@treasury_app.command("balances")
def balances(*, as_json: Json = False) -> None:
    """What the hot wallet holds, what of it is free, and whether that is too little or too much.

    Example: [bold]onramp treasury balances[/bold]
    """
    page = call("GET", f"{BASE}/balances")
    if as_json:
        print_json(page)
        return
    names = ("asset", "onChain", "held", "available", "floor", "target", "ceiling", "blockNumber")
    rows = [(*(row[name] for name in names), advice.of_balance(row)[0]) for row in page["data"]]
    print_table((*names, ""), rows, empty="This service pays from no wallet.")
    print_earlier(page["earlier"])
    say_next(
        *((f"{row['asset']} is {advice.of_balance(row)[0]}", advice.of_balance(row)[1]) for row in page["data"]),
        *advice.of_earlier(page["earlier"]),
    )
    paused = call("GET", f"{BASE}/pause")["paused"]
    say_next(*((f"{one['scope']} paused by {one['by']} since {one['at']}", "onramp treasury resume") for one in paused))


def print_earlier(rows: Sequence[Mapping[str, Any]]) -> None:
    """What the ledger still has of wallets that were paid from before; nothing where that is nothing."""
    names = ("wallet", "asset", "available", "held", "inFlight", "suspense", "receivable")
    if rows:
        print_table(names, [[one[name] for name in names] for one in rows], title="earlier wallets, by the ledger")


@treasury_app.command("payouts")
def payouts(
    payout_id: Annotated[str, typer.Argument(metavar="ID", help="pay_...; without it, the newest.")] = "",
    limit: PageLimit = 20,
    status: RowStatus = None,
    cursor: PageCursor = "",
    *,
    watch: Watch = False,
    as_json: Json = False,
) -> None:
    """What buyers are owed, with what keeps each waiting; or one of them with its history.

    Example: [bold]onramp treasury payouts --status held[/bold]
    """
    _room("payouts", payout_id, limit, status, cursor, watch=watch, as_json=as_json)


@treasury_app.command("sweeps")
def sweeps(
    sweep_id: Annotated[str, typer.Argument(metavar="ID", help="swp_...; without it, the newest.")] = "",
    limit: PageLimit = 20,
    status: RowStatus = None,
    cursor: PageCursor = "",
    *,
    watch: Watch = False,
    as_json: Json = False,
) -> None:
    """What goes to the cold wallet; or one sweep with its history, followed until it arrived.

    Example: [bold]onramp treasury sweeps swp_4k... --watch[/bold]
    """
    _room("sweeps", sweep_id, limit, status, cursor, watch=watch, as_json=as_json)


def _room(
    room: str, row_id: str, limit: int, status: Status | None, cursor: str, *, watch: bool, as_json: bool
) -> None:
    if not row_id:
        if watch:
            raise typer.BadParameter("follows one: give its ID", param_hint="--watch")
        empty = "Nothing is owed." if room == "payouts" else "No sweeps. `onramp treasury plan` says what one would be."
        page = call("GET", f"{BASE}/{room}", query={"limit": limit, "status": status, "cursor": cursor})
        _show_page(page, as_json=as_json, empty=empty)
        return
    if room_of(row_id) != room:
        raise typer.BadParameter(f"is none of the {room}", param_hint="ID")
    row = call("GET", path_of(row_id))
    if watch:
        watch_row(row, as_json=as_json)
    else:
        show_row(row, as_json=as_json)


@treasury_app.command("transaction")
def transaction(
    transaction_id: Annotated[str, typer.Argument(metavar="ID", help="txn_...")], *, as_json: Json = False
) -> None:
    """One nonce: every signature made for it, and what became of it.

    Example: [bold]onramp treasury transaction txn_4k...[/bold]
    """
    row = call("GET", f"{BASE}/transactions/{quote(transaction_id, safe='')}")
    if as_json:
        print_json(row)
        return
    names = ("status", "stall", "wallet", "nonce", "operationId", "to", "amount", "blockNumber")
    print_pairs([(name, row[name]) for name in names], title=row["id"])
    tries = [(one["hash"], one["maxFeePerGas"], one["signedAt"], one["broadcasts"]) for one in row["attempts"]]
    print_table(("hash", "maxFeePerGas", "signedAt", "broadcasts"), tries, empty="Nothing was signed for it.")
    _print_history(row)
