"""`onramp treasury` about the way back: a refill is prepared here, signed by the Safe's owners, and checked here again."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from chain.types import ZERO_ADDRESS
from kit.money import parse_units
from onramp.cli import pins
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, print_pairs
from onramp.cli.remote import call
from onramp.cli.treasury import BASE, say_next

if TYPE_CHECKING:
    from treasury.cold.refill import Refill
    from treasury.cold.sheet import Expected

_SHEET: Final = ".sheet.json"


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
    _compared(made, amount, asset)
    if as_json:
        print_json(made)
        return
    name = f"refill-{made['sheet']['nonce']}-{made['sheet']['safeTxHash'][2:10]}"
    builder, sheet = out / f"{name}.json", out / (name + _SHEET)
    try:
        builder.write_bytes(orjson.dumps(made["file"], option=orjson.OPT_INDENT_2))
        rest = {key: value for key, value in made.items() if key != "file"}
        sheet.write_bytes(orjson.dumps(rest, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise CommandError(
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
    """Say offline what a refill moves and who has signed it; with enough of them, what anybody with gas may send.

    Exit status 1 before, and where the sheet is not what CHAIN_ID, HOT_WALLET_ADDRESS, COLD_SAFE_* and MUSD_TOKEN_ADDRESS allow.

    Example: [bold]onramp treasury refill-check refill-7-1f2e3d4c.sheet.json 0x5c... 0x9a... 0x07...[/bold]
    """
    moved = _read(sheet, pins.expected())
    transaction = moved.transaction
    checked = moved.check(signatures)
    sent = None if checked.packed is None else "0x" + transaction.execution(checked.packed).hex()
    transfer = _shown(moved)
    found = {
        "transfer": transfer,
        "safeTxHash": "0x" + transaction.safe_tx_hash.hex(),
        "signedBy": list(checked.signed_by),
        "problems": list(checked.problems),
        "to": None if sent is None else transaction.safe,
        "data": sent,
    }
    if as_json:
        print_json(found)
    else:
        print_pairs(list(transfer.items()), title="what the owners sign")
        typer.echo(f"safeTxHash {found['safeTxHash']}")
        print_pairs([("signed by", owner) for owner in checked.signed_by])
        for problem in checked.problems:
            typer.echo(problem)
        if sent is not None:
            typer.echo(f"Enough. Anybody with gas may send this to {transaction.safe}, without value:\n{sent}")
    if sent is None:
        raise CommandError("onramp: too few owners have signed; nothing can be sent yet.")


def _shown(moved: "Refill") -> dict[str, str]:
    """The decoded transfer, for people and programs."""
    native = moved.token == ZERO_ADDRESS
    return {
        "asset": moved.asset,
        "token": "native" if native else moved.token,
        "amount": moved.formatted_amount,
        "to": moved.to,
        "chainId": str(moved.transaction.chain_id),
        "safe": moved.transaction.safe,
        "nonce": str(moved.transaction.nonce),
        "operation": "0 (call)",
    }


def _read(sheet: Path, expected: "Expected") -> "Refill":
    """The refill of a sheet, and of the Transaction Builder's file beside it, where there is one. Raises Refused."""
    from treasury.cold.sheet import SheetError, compare_file, read_sheet

    builder = sheet.with_name(sheet.name.removesuffix(_SHEET) + ".json")
    try:
        moved = read_sheet(_document(sheet), expected)
        if sheet.name.endswith(_SHEET) and builder.exists():
            compare_file(_document(builder), moved)
    except SheetError as error:
        raise CommandError(
            f"onramp: {sheet} was changed, or belongs to another deployment: sign and send nothing.",
            *(f"  {problem}" for problem in error.problems),
        ) from error
    return moved


def _document(path: Path) -> Any:
    """One JSON document. Raises Refused."""
    from kit.json import MalformedJson, loads

    try:
        return loads(path.read_bytes())
    except OSError as error:
        raise CommandError(f"onramp: {path} cannot be read: {error.strerror}.") from error
    except MalformedJson as error:
        raise CommandError(
            f"onramp: {path} is no sheet of a refill: {error}. `onramp treasury refill` writes one."
        ) from error


def _compared(made: Any, amount: str, asset: str) -> None:
    """Compare what the service prepared with what was asked and with this machine's settings. Raises Refused."""
    from kit.json import dumps, loads
    from treasury.cold.sheet import SheetError, compare_file, read_sheet

    try:
        expected = pins.expected()
    except CommandError:
        typer.echo(
            "COLD_SAFE_* or HOT_WALLET_ADDRESS are not set here: what the service prepared was not compared.", err=True
        )
        return
    try:
        moved = read_sheet(loads(dumps({key: made[key] for key in made if key != "file"})), expected)
        compare_file(made["file"], moved)
        if moved.asset != asset or moved.amount != parse_units(amount, moved.decimals):
            raise SheetError(
                [f"transfer: {amount} {asset} was asked for, and {moved.formatted_amount} {moved.asset} prepared."]
            )
    except SheetError as error:
        raise CommandError(
            "onramp: the service prepared something else than this machine's settings allow; nothing was written.",
            *(f"  {problem}" for problem in error.problems),
        ) from error


REFILLS: Final[Mapping[str, Callable[..., None]]] = {"refill": refill, "refill-check": refill_check}
"""What `onramp treasury` does by these names."""
