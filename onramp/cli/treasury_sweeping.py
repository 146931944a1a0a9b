"""`onramp treasury` about the cold wallet: what a sweep would be, ordering one, emptying the wallet, the policy."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from onramp.cli import advice
from onramp.cli.options import Json, Note, Otp
from onramp.cli.output import print_json, print_pairs, print_table
from onramp.cli.remote import call
from onramp.cli.treasury import BASE, Watch, noted, say_next, show_row, watch_row

Asset = Annotated[str, typer.Option(help="Such as MUSD; the policy lists them.")]
Amount = Annotated[str, typer.Option(help="Decimal text, or excess: whatever the policy would take.")]


def _show_plans(plans: list[dict[str, Any]]) -> None:
    rows = [
        (
            one["asset"],
            one["amount"] or "",
            one["to"] or "",
            {True: "another person", False: "nobody", None: ""}[one["approvalNeeded"]],
            one["reason"] or f"{one['refusal']}: {one['detail']}",
        )
        for one in plans
    ]
    print_table(
        ("asset", "amount", "to", "approves", ""), rows, empty="Nothing can be swept: no cold wallet is pinned."
    )


def plan(*, as_json: Json = False) -> None:
    """What a sweep of the excess would be now, for each asset, or why there is none. Changes nothing.

    Example: [bold]onramp treasury plan[/bold]
    """
    page = call("GET", f"{BASE}/plan")
    if as_json:
        print_json(page)
        return
    _show_plans(page["data"])
    due = [one["asset"] for one in page["data"] if one["amount"]]
    say_next(*((f"Sweep {asset} with", f"onramp treasury sweep --asset {asset} --amount excess") for asset in due))


def sweep(
    asset: Asset = "MUSD",
    amount: Amount = "excess",
    note: Note = "",
    otp: Otp = "",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only the plan: nothing is written.")] = False,
    watch: Watch = False,
    as_json: Json = False,
) -> None:
    """Bring money to the cold wallet. Above a limit another person approves; the first one to a Safe is a small one.

    Example: [bold]onramp treasury sweep --asset MUSD --amount 1500.00 --watch[/bold]
    """
    if dry_run and watch:
        raise typer.BadParameter("a plan is nothing to follow: leave --dry-run or --watch away")
    answer = call("POST", f"{BASE}/sweeps", noted(note, asset=asset, amount=amount, dryRun=dry_run), otp=otp)
    if dry_run:
        if as_json:
            print_json(answer)
        else:
            _show_plans([answer])
    elif watch:
        if not as_json:
            said, command = advice.of_row(answer)
            typer.echo(f"{answer['id']} {answer['amount']} {answer['asset']} {said}: {command}")
        watch_row(answer, as_json=as_json)
    else:
        show_row(answer, as_json=as_json)


def panic(
    note: Note = "",
    otp: Otp = "",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether this is meant.")] = False,
    as_json: Json = False,
) -> None:
    """Empty the hot wallet into the cold one, whatever is paused. Another person approves; payouts wait meanwhile.

    Example: [bold]onramp treasury panic --note "the key is out"[/bold]
    """
    if not yes:
        typer.confirm("Propose to empty the hot wallet into the cold one?", abort=True, err=True)
    page = call("POST", f"{BASE}/panic", noted(note), otp=otp)
    if as_json:
        print_json(page)
        return
    rows = [(row["id"], row["status"], f"{row['amount']} {row['asset']}", row["to"]) for row in page["data"]]
    print_table(("id", "status", "amount", "to"), rows, empty="The hot wallet is empty.")
    say_next(*(advice.of_row(row) for row in page["data"]))


def policy(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="apply, approve or reject; none: show it.")] = "",
    version_id: Annotated[str, typer.Argument(metavar="ID", help="pol_..., to approve or reject.")] = "",
    note: Note = "",
    otp: Otp = "",
    *,
    as_json: Json = False,
) -> None:
    """The policy that counts. `apply` wants what the service's file says: stricter counts at once, looser with two persons.

    Example: [bold]onramp treasury policy apply[/bold]
    """
    if action not in {"", "apply", "approve", "reject"} or (action in {"approve", "reject"}) != bool(version_id):
        raise typer.BadParameter("is nothing, apply, `approve ID` or `reject ID`", param_hint="ACTION")
    if action:
        where = f"/{quote(version_id, safe='')}/{action}" if version_id else "/apply"
        answer = call("POST", f"{BASE}/policy{where}", noted(note), otp=otp)
        if as_json:
            print_json(answer)
        else:
            _show_versions([answer])
        return
    answer = call("GET", f"{BASE}/policy")
    if as_json:
        print_json(answer)
        return
    active = answer["active"]
    if active is not None:
        pairs = [(f"payouts.{name}", value) for name, value in active["payouts"].items()]
        pairs += [(name, active[name]) for name in ("maxFeeGwei", "approvalExpiresHours", "everyMinutes")]
        cold = active["coldWallet"]
        pairs.append(
            ("coldWallet", f"{cold['address']}, {cold['threshold']} of {len(cold['owners'])}" if cold else None)
        )
        print_pairs(pairs, title=f"version {active['version']}")
        names = ("symbol", "floor", "target", "ceiling", "min", "approvalAbove", "maxPerTransaction", "maxPerDay")
        print_table(names, [[one[name] for name in names] for one in active["assets"]])
    _show_versions(answer["versions"])


def _show_versions(versions: list[dict[str, Any]]) -> None:
    rows = [
        (one["id"], one["version"], one["status"], ", ".join(one["loosens"]), one["proposedBy"], one["appliesAt"])
        for one in versions
    ]
    print_table(
        ("id", "version", "status", "loosens", "proposedBy", "appliesAt"),
        rows,
        empty="No policy: this service pays from no wallet.",
    )
    waiting = [one for one in versions if one["status"] == "proposed"]
    say_next(
        *(
            (f"Version {one['version']} waits for two persons", f"onramp treasury policy approve {one['id']}")
            for one in waiting
        )
    )


SWEEPING: Final[Mapping[str, Callable[..., None]]] = {"plan": plan, "sweep": sweep, "panic": panic, "policy": policy}
"""What `onramp treasury` does by these names."""
