"""`onramp treasury`: show the treasury's state, its problems and the next command to type. Everything goes through the service's routes.

An operator on call has an API key and a terminal, but seldom access to the database; so reading also asks the service.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from onramp.cli import advice
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, print_more, print_pairs, print_table
from onramp.cli.remote import call
from treasury.core.status import Status

treasury_app = typer.Typer(
    help="Operate the treasury. Needs ONRAMP_API_KEY.\n\nExample: [bold]onramp treasury balances[/bold]",
    no_args_is_help=True,
)
BASE = "/api/v1/treasury"
Watch = Annotated[bool, typer.Option("--watch", help="Follow it until it has ended.")]
PageLimit = Annotated[int, typer.Option(min=1, max=200, help="Maximum number of rows.")]
PageCursor = Annotated[str, typer.Option(help="nextCursor of the previous page.")]
RowStatus = Annotated[Status | None, typer.Option(help="Filter by status, such as held.")]
_WATCH_SECONDS = 1.0


def print_next(*steps: tuple[str, str]) -> None:
    """Print pairs of a problem and the command that continues; steps without a command are left out, repeated ones printed once."""
    for problem, command in dict.fromkeys(step for step in steps if step[1]):
        typer.echo(f"{problem}: {command}" if problem else command)


def collection_of(row_id: str) -> str:
    """Return `payouts` or `sweeps`, by the id's prefix. Raises typer.BadParameter for any other prefix."""
    collections = {"pay_": "payouts", "swp_": "sweeps"}
    if row_id[:4] not in collections:
        raise typer.BadParameter("must be the id of a payout (pay_...) or of a sweep (swp_...)", param_hint="ID")
    return collections[row_id[:4]]


def path_of(row_id: str, action: str = "") -> str:
    """Return the path of a payout's or sweep's route, followed by `action`, such as `/approve`."""
    return f"{BASE}/{collection_of(row_id)}/{quote(row_id, safe='')}{action}"


def with_note(note: str, **body: Any) -> dict[str, Any]:
    """Return `body` as a request body, with the note if it is not empty."""
    return {**body, "note": note} if note else body


def _print_history(row: Mapping[str, Any]) -> None:
    lines = [(line["at"], line["from"], line["to"], line["by"], line["note"]) for line in row["history"]]
    print_table(("at", "from", "to", "by", "note"), lines)


def show_row(row: dict[str, Any], *, as_json: bool) -> None:
    """Print one payout or sweep with its history and the next command."""
    if as_json:
        print_json(row)
        return
    names = ("status", "reason", "sessionId", "asset", "amount", "to", "proposedBy", "approvedBy", "retryBy", "txHash")
    print_pairs([(name, row.get(name)) for name in names], title=row["id"])
    _print_history(row)
    print_next(advice.of_row(row))


def watch_row(row: dict[str, Any], *, as_json: bool) -> None:
    """Print each change of a payout or sweep until it has ended. Raises CommandError if it did not end `final`."""
    import time

    printed = 0
    while True:
        for line in () if as_json else row["history"][printed:]:
            typer.echo(f"{line['at']}  {line['to']:<18} {line['by']}  {line['note']}".rstrip())
        printed = len(row["history"])
        if row["status"] in advice.ENDED:
            break
        time.sleep(_WATCH_SECONDS)
        row = call("GET", path_of(row["id"]))
    if as_json:
        print_json(row)
    if row["status"] != "final":
        problem, command = advice.of_row(row)
        ending = f"onramp: {row['id']} ended {row['status']}."
        raise CommandError(f"{ending} {problem}: {command}" if command else ending)


def _show_page(page: dict[str, Any], *, as_json: bool, empty: str) -> None:
    if as_json:
        print_json(page)
        return
    advised = [(row, *advice.of_row(row)) for row in page["data"]]
    rows = [
        (row["id"], row["status"], f"{row['amount']} {row['asset']}", row["to"], f"{row['createdAt'][:19]}Z", problem)
        for row, problem, _ in advised
    ]
    print_table(("id", "status", "amount", "to", "created", ""), rows, empty=empty)
    urgent = {"held", "awaiting_approval", "reverted", "rejected"}
    print_next(*((f"{row['id']} {problem}", command) for row, problem, command in advised if row["status"] in urgent))
    print_more(page["nextCursor"])


@treasury_app.command("balances")
def balances(*, as_json: Json = False) -> None:
    """Show what the hot wallet holds, how much is available, and whether that is too little or too much.

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
    print_next(
        *((f"{row['asset']} is {advice.of_balance(row)[0]}", advice.of_balance(row)[1]) for row in page["data"]),
        *advice.of_earlier(page["earlier"]),
    )
    pauses = call("GET", f"{BASE}/pause")["paused"]
    print_next(
        *(
            (f"{pause['scope']} paused by {pause['by']} since {pause['at']}", "onramp treasury resume")
            for pause in pauses
        )
    )


def print_earlier(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the ledger's accounts of earlier hot wallets; nothing if there are none."""
    names = ("wallet", "asset", "available", "held", "inFlight", "suspense", "receivable")
    if rows:
        print_table(names, [[row[name] for name in names] for row in rows], title="earlier wallets, by the ledger")


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
    """List what buyers are owed and why each payout waits; or show one payout with its history.

    Example: [bold]onramp treasury payouts --status held[/bold]
    """
    _list_or_show("payouts", payout_id, limit, status, cursor, watch=watch, as_json=as_json)


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
    """List the transfers to the cold wallet; or show one sweep with its history.

    Example: [bold]onramp treasury sweeps swp_4k... --watch[/bold]
    """
    _list_or_show("sweeps", sweep_id, limit, status, cursor, watch=watch, as_json=as_json)


def _list_or_show(
    collection: str, row_id: str, limit: int, status: Status | None, cursor: str, *, watch: bool, as_json: bool
) -> None:
    if not row_id:
        if watch:
            raise typer.BadParameter("follows one row: give its ID", param_hint="--watch")
        is_payouts = collection == "payouts"
        empty = "Nothing is owed." if is_payouts else "No sweeps. `onramp treasury plan` shows what one would be."
        page = call("GET", f"{BASE}/{collection}", query={"limit": limit, "status": status, "cursor": cursor})
        _show_page(page, as_json=as_json, empty=empty)
        return
    if collection_of(row_id) != collection:
        raise typer.BadParameter(f"is not one of the {collection}", param_hint="ID")
    row = call("GET", path_of(row_id))
    if watch:
        watch_row(row, as_json=as_json)
    else:
        show_row(row, as_json=as_json)


@treasury_app.command("transaction")
def transaction(
    transaction_id: Annotated[str, typer.Argument(metavar="ID", help="txn_...")], *, as_json: Json = False
) -> None:
    """Show one transaction: its nonce, each of its signatures, and its history.

    Example: [bold]onramp treasury transaction txn_4k...[/bold]
    """
    row = call("GET", f"{BASE}/transactions/{quote(transaction_id, safe='')}")
    if as_json:
        print_json(row)
        return
    names = ("status", "stall", "wallet", "nonce", "operationId", "to", "amount", "blockNumber")
    print_pairs([(name, row[name]) for name in names], title=row["id"])
    if row["payments"]:
        fields = ("payoutId", "to", "amount", "outcome", "logIndex")
        print_table(fields, [[payment[name] for name in fields] for payment in row["payments"]], title="payments")
    columns = ("hash", "maxFeePerGas", "signedAt", "broadcasts")
    attempts = [[attempt[name] for name in columns] for attempt in row["attempts"]]
    print_table(columns, attempts, empty="Nothing was signed for it.")
    _print_history(row)
