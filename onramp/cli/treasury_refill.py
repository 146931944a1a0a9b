"""`onramp treasury` about the way back: a refill is prepared here, signed by the Safe's owners, and checked here again."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from onramp.cli.options import Json
from onramp.cli.output import Refused, print_json, print_pairs
from onramp.cli.remote import call
from onramp.cli.treasury import BASE, say_next


def refill(
    amount: Annotated[str, typer.Option(help="Decimal text.")],
    asset: Annotated[str, typer.Option(help="Such as MUSD; the policy lists them.")] = "MUSD",
    out: Annotated[Path, typer.Option(help="Where the files go; --json writes none.")] = Path(),
    *,
    as_json: Json = False,
) -> None:
    """Prepare a transfer from the cold wallet to the hot one, for its owners to sign. Nothing is signed or sent.

    Example: [bold]onramp treasury refill --asset MUSD --amount 14600.00[/bold]
    """
    made = call("GET", f"{BASE}/refill", query={"asset": asset, "amount": amount})
    if as_json:
        print_json(made)
        return
    name = f"refill-{made['sheet']['nonce']}-{made['sheet']['safeTxHash'][2:10]}"
    builder, sheet = out / f"{name}.json", out / f"{name}.sheet.json"
    try:
        builder.write_bytes(orjson.dumps(made["file"], option=orjson.OPT_INDENT_2))
        rest = {key: value for key, value in made.items() if key != "file"}
        sheet.write_bytes(orjson.dumps(rest, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise Refused(
            f"onramp: {out} cannot be written: {error.strerror}. Choose another folder with --out."
        ) from error
    print_pairs(list(made["sheet"].items()), title="what each signer compares")
    if Decimal(made["holds"]) < Decimal(amount):
        typer.echo(f"The Safe holds {made['holds']} {asset}: sent before there is more in it, this fails.")
    say_next(
        ("The Safe's Transaction Builder imports", str(builder)),
        (
            f"{made['threshold']} owners sign safeTxHash; check what they give",
            f"onramp treasury refill-check {sheet} SIGNATURE...",
        ),
    )


def refill_check(
    sheet: Annotated[Path, typer.Argument(metavar="SHEET", help="The sheet that `refill` wrote.")],
    signatures: Annotated[list[str], typer.Argument(metavar="SIGNATURE", help="0x and 130 hex digits each.")],
    *,
    as_json: Json = False,
) -> None:
    """Say who has signed a refill, offline; with enough of them, what anybody with gas may send. Exit status 1 before.

    Example: [bold]onramp treasury refill-check refill-7-1f2e3d4c.sheet.json 0x5c... 0x9a... 0x07...[/bold]
    """
    from treasury.cold.signatures import check

    transaction, told = _transaction(sheet)
    checked = check(signatures, transaction.safe_tx_hash, told["owners"], told["threshold"])
    sent = None if checked.packed is None else "0x" + transaction.execution(checked.packed).hex()
    found = {
        "safeTxHash": "0x" + transaction.safe_tx_hash.hex(),
        "signedBy": list(checked.signed_by),
        "problems": list(checked.problems),
        "to": None if sent is None else transaction.safe,
        "data": sent,
    }
    if as_json:
        print_json(found)
    else:
        typer.echo(f"safeTxHash {found['safeTxHash']}")
        print_pairs([("signed by", owner) for owner in checked.signed_by])
        for problem in checked.problems:
            typer.echo(problem)
        if sent is not None:
            typer.echo(f"Enough. Anybody with gas may send this to {transaction.safe}, without value:\n{sent}")
    if sent is None:
        raise Refused("onramp: too few owners have signed; nothing can be sent yet.")


def _transaction(sheet: Path) -> tuple[Any, dict[str, Any]]:
    """The transaction out of a sheet, its hashes computed anew."""
    from treasury.cold.safetx import SafeTransaction

    try:
        told = orjson.loads(sheet.read_bytes())
        said = told["sheet"]
        transaction = SafeTransaction(
            int(said["chainId"]), said["safe"], said["to"], int(said["value"]), bytes.fromhex(said["data"][2:]), int(said["nonce"])
        )  # fmt: skip
        computed = "0x" + transaction.safe_tx_hash.hex()
        told["owners"], told["threshold"] = [str(owner) for owner in told["owners"]], int(told["threshold"])
    except OSError as error:
        raise Refused(f"onramp: {sheet} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"onramp: {sheet} is no sheet of a refill; `onramp treasury refill` writes one.") from error
    if computed != said.get("safeTxHash"):
        raise Refused(f"onramp: {sheet} was changed: its hash is not that of its transaction. Prepare it again.")
    return transaction, told


REFILLS: Final[Mapping[str, Callable[..., None]]] = {"refill": refill, "refill-check": refill_check}
"""What `onramp treasury` does by these names."""
