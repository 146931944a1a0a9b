"""`onramp treasury plan`, `sweep`, `panic` and `policy`: transfers to the cold wallet, and the policy that limits them."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from onramp.cli import advice
from onramp.cli.options import Json, Note, Otp
from onramp.cli.output import print_json, print_pairs, print_table
from onramp.cli.remote import call
from onramp.cli.treasury import BASE, Watch, print_next, show_row, watch_row, with_note

Asset = Annotated[str, typer.Option(help="An asset that the policy lists, such as MUSD.")]
Amount = Annotated[str, typer.Option(help="Decimal text, or excess for as much as the policy would take.")]


def _show_plans(plans: list[dict[str, Any]]) -> None:
    rows = [
        (
            plan["asset"],
            plan["amount"] or "",
            plan["to"] or "",
            {True: "another person", False: "nobody", None: ""}[plan["approvalNeeded"]],
            plan["reason"] or f"{plan['refusal']}: {plan['detail']}",
        )
        for plan in plans
    ]
    print_table(
        ("asset", "amount", "to", "approves", ""), rows, empty="Nothing can be swept: no cold wallet is pinned."
    )


def plan(*, as_json: Json = False) -> None:
    """Show for each asset the sweep that would be proposed now, or the reason not to propose one. Changes nothing.

    Example: [bold]onramp treasury plan[/bold]
    """
    page = call("GET", f"{BASE}/plan")
    if as_json:
        print_json(page)
        return
    _show_plans(page["data"])
    due = [plan["asset"] for plan in page["data"] if plan["amount"]]
    print_next(*((f"Sweep {asset} with", f"onramp treasury sweep --asset {asset} --amount excess") for asset in due))


def sweep(
    asset: Asset = "MUSD",
    amount: Amount = "excess",
    note: Note = "",
    otp: Otp = "",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan; nothing is written.")] = False,
    watch: Watch = False,
    as_json: Json = False,
) -> None:
    """Transfer money to the cold wallet. Above a limit another person approves it; the first transfer to a Safe is a small one.

    Example: [bold]onramp treasury sweep --asset MUSD --amount 1500.00 --watch[/bold]
    """
    if dry_run and watch:
        raise typer.BadParameter("a plan cannot be followed: omit --dry-run or --watch")
    row = call("POST", f"{BASE}/sweeps", with_note(note, asset=asset, amount=amount, dryRun=dry_run), otp=otp)
    if dry_run:
        if as_json:
            print_json(row)
        else:
            _show_plans([row])
    elif watch:
        if not as_json:
            problem, command = advice.of_row(row)
            typer.echo(f"{row['id']} {row['amount']} {row['asset']} {problem}: {command}")
        watch_row(row, as_json=as_json)
    else:
        show_row(row, as_json=as_json)


def panic(
    note: Note = "",
    otp: Otp = "",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Empty the hot wallet into the cold wallet, even while everything is paused. Another person approves; payouts wait meanwhile.

    Example: [bold]onramp treasury panic --note "the key is out"[/bold]
    """
    if not yes:
        typer.confirm("Propose to empty the hot wallet into the cold wallet?", abort=True, err=True)
    page = call("POST", f"{BASE}/panic", with_note(note), otp=otp)
    if as_json:
        print_json(page)
        return
    rows = [(row["id"], row["status"], f"{row['amount']} {row['asset']}", row["to"]) for row in page["data"]]
    print_table(("id", "status", "amount", "to"), rows, empty="The hot wallet is empty.")
    print_next(*(advice.of_row(row) for row in page["data"]))


def policy(
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="apply, approve or reject; without it, show the policy.")
    ] = "",
    version_id: Annotated[str, typer.Argument(metavar="ID", help="pol_..., to approve or reject.")] = "",
    note: Note = "",
    otp: Otp = "",
    *,
    as_json: Json = False,
) -> None:
    """Show the active policy. `apply` proposes the service's file: stricter terms are active at once, looser ones need two persons.

    Example: [bold]onramp treasury policy apply[/bold]
    """
    if action not in {"", "apply", "approve", "reject"} or (action in {"approve", "reject"}) != bool(version_id):
        raise typer.BadParameter("must be absent, apply, `approve ID` or `reject ID`", param_hint="ACTION")
    if action:
        path = f"/{quote(version_id, safe='')}/{action}" if version_id else "/apply"
        version = call("POST", f"{BASE}/policy{path}", with_note(note), otp=otp)
        if as_json:
            print_json(version)
        else:
            _show_versions([version])
        return
    versions = call("GET", f"{BASE}/policy")
    if as_json:
        print_json(versions)
        return
    active = versions["active"]
    if active is not None:
        pairs = [(f"payouts.{name}", value) for name, value in active["payouts"].items()]
        pairs += [(name, active[name]) for name in ("maxFeeGwei", "approvalExpiresHours", "everyMinutes")]
        cold = active["coldWallet"]
        pairs.append(
            ("coldWallet", f"{cold['address']}, {cold['threshold']} of {len(cold['owners'])}" if cold else None)
        )
        print_pairs(pairs, title=f"version {active['version']}")
        names = ("symbol", "floor", "target", "ceiling", "min", "approvalAbove", "maxPerTransaction", "maxPerDay")
        print_table(names, [[asset[name] for name in names] for asset in active["assets"]])
    _show_versions(versions["versions"])


def _show_versions(versions: list[dict[str, Any]]) -> None:
    rows = [
        (row["id"], row["version"], row["status"], ", ".join(row["loosens"]), row["proposedBy"], row["appliesAt"])
        for row in versions
    ]
    print_table(
        ("id", "version", "status", "loosens", "proposedBy", "appliesAt"),
        rows,
        empty="No policy: this service pays from no wallet.",
    )
    proposed = [row for row in versions if row["status"] == "proposed"]
    print_next(
        *(
            (f"Version {row['version']} waits for two persons", f"onramp treasury policy approve {row['id']}")
            for row in proposed
        )
    )


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {"plan": plan, "sweep": sweep, "panic": panic, "policy": policy}
"""The function of each command, by its name after `onramp treasury`."""
