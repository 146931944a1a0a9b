"""`onramp treasury refill` and `refill-check`: prepare a transfer from the cold wallet, and check what its owners signed."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from kit.money import parse_units
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, print_pairs
from onramp.cli.remote import call
from onramp.cli.treasury import BASE, print_next

if TYPE_CHECKING:
    from treasury.cold.refill import Refill
    from treasury.cold.sheet import Expected

_SHEET: Final = ".sheet.json"


def refill(
    amount: Annotated[str, typer.Option(help="Decimal text.")],
    asset: Annotated[str, typer.Option(help="An asset that the policy lists, such as MUSD.")] = "MUSD",
    out: Annotated[Path, typer.Option(help="The folder for the files; --json writes none.")] = Path(),
    *,
    as_json: Json = False,
) -> None:
    """Prepare a transfer from the cold to the hot wallet for its owners to sign. Nothing is signed or sent.

    Example: [bold]onramp treasury refill --asset MUSD --amount 14600.00[/bold]
    """
    prepared = call("GET", f"{BASE}/refill", query={"asset": asset, "amount": amount})
    _compare(prepared, amount, asset)
    if as_json:
        print_json(prepared)
        return
    name = f"refill-{prepared['sheet']['nonce']}-{prepared['sheet']['safeTxHash'][2:10]}"
    builder, sheet = out / f"{name}.json", out / (name + _SHEET)
    try:
        builder.write_bytes(orjson.dumps(prepared["file"], option=orjson.OPT_INDENT_2))
        rest = {key: value for key, value in prepared.items() if key != "file"}
        sheet.write_bytes(orjson.dumps(rest, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise CommandError(
            f"onramp: {out} cannot be written: {error.strerror}. Choose another folder with --out."
        ) from error
    print_pairs(list(prepared["sheet"].items()), title="what each signer compares")
    if Decimal(prepared["holds"]) < Decimal(amount):
        typer.echo(f"The Safe holds {prepared['holds']} {asset}: the transfer fails until it holds more.")
    print_next(
        ("The Safe's Transaction Builder imports", str(builder)),
        (
            f"{prepared['threshold']} owners sign safeTxHash; check their signatures",
            f"onramp treasury refill-check {sheet} SIGNATURE...",
        ),
    )


def refill_check(
    sheet: Annotated[Path, typer.Argument(metavar="SHEET", help="The sheet that `refill` wrote.")],
    signatures: Annotated[list[str], typer.Argument(metavar="SIGNATURE", help="0x and 130 hex digits each.")],
    *,
    as_json: Json = False,
) -> None:
    """Show offline what a refill moves and who has signed it; with enough signatures, the call that anyone with gas may send.

    Exit status 1 with too few signatures, and if the sheet is not what CHAIN_ID, HOT_WALLET_ADDRESS, COLD_SAFE_* and
    MUSD_TOKEN_ADDRESS allow.

    Example: [bold]onramp treasury refill-check refill-7-1f2e3d4c.sheet.json 0x5c... 0x9a... 0x07...[/bold]
    """
    from onramp.cli import refill_settings

    refill = _read(sheet, refill_settings.expected())
    transaction = refill.transaction
    checked = refill.check(signatures)
    data = None if checked.packed is None else "0x" + transaction.execution(checked.packed).hex()
    transfer = _transfer(refill)
    result = {
        "transfer": transfer,
        "safeTxHash": "0x" + transaction.safe_tx_hash.hex(),
        "signedBy": list(checked.signed_by),
        "problems": list(checked.problems),
        "to": None if data is None else transaction.safe,
        "data": data,
    }
    if as_json:
        print_json(result)
    else:
        print_pairs(list(transfer.items()), title="what the owners sign")
        typer.echo(f"safeTxHash {result['safeTxHash']}")
        print_pairs([("signed by", owner) for owner in checked.signed_by])
        for problem in checked.problems:
            typer.echo(problem)
        if data is not None:
            typer.echo(
                f"Enough signatures. Anyone with gas may send this to {transaction.safe}, without value:\n{data}"
            )
    if data is None:
        raise CommandError("onramp: too few owners have signed; nothing can be sent yet.")


def _transfer(refill: "Refill") -> dict[str, str]:
    """Return the decoded transfer as name -> text, for people and programs."""
    from chain.types import ZERO_ADDRESS

    is_native = refill.token == ZERO_ADDRESS
    return {
        "asset": refill.asset,
        "token": "native" if is_native else refill.token,
        "amount": refill.formatted_amount,
        "to": refill.to,
        "chainId": str(refill.transaction.chain_id),
        "safe": refill.transaction.safe,
        "nonce": str(refill.transaction.nonce),
        "operation": "0 (call)",
    }


def _read(sheet: Path, expected: "Expected") -> "Refill":
    """Return the refill in a sheet, compared with the Transaction Builder's file beside it, if there is one. Raises CommandError."""
    from treasury.cold.sheet import SheetError, compare_file, read_sheet

    builder = sheet.with_name(sheet.name.removesuffix(_SHEET) + ".json")
    try:
        refill = read_sheet(_document(sheet), expected)
        if sheet.name.endswith(_SHEET) and builder.exists():
            compare_file(_document(builder), refill)
    except SheetError as error:
        raise CommandError(
            f"onramp: {sheet} was changed, or belongs to another deployment: sign and send nothing.",
            *(f"  {problem}" for problem in error.problems),
        ) from error
    return refill


def _document(path: Path) -> Any:
    """Return the JSON document in a file. Raises CommandError if it cannot be read or is not JSON."""
    from kit.json import MalformedJson, loads

    try:
        return loads(path.read_bytes())
    except OSError as error:
        raise CommandError(f"onramp: {path} cannot be read: {error.strerror}.") from error
    except MalformedJson as error:
        raise CommandError(
            f"onramp: {path} is not a sheet of a refill: {error}. `onramp treasury refill` writes one."
        ) from error


def _compare(prepared: Any, amount: str, asset: str) -> None:
    """Compare the service's refill with the request and with this computer's settings. Raises CommandError if they differ."""
    from kit.json import dumps, loads
    from treasury.cold.sheet import SheetError, compare_file, read_sheet

    try:
        from onramp.cli import refill_settings

        expected = refill_settings.expected()
    except CommandError:
        typer.echo(
            "COLD_SAFE_* or HOT_WALLET_ADDRESS are not set here, so the service's refill was not compared with them.",
            err=True,
        )
        return
    try:
        refill = read_sheet(loads(dumps({key: prepared[key] for key in prepared if key != "file"})), expected)
        compare_file(prepared["file"], refill)
        if refill.asset != asset or refill.amount != parse_units(amount, refill.decimals):
            prepared_amount = f"{refill.formatted_amount} {refill.asset}"
            raise SheetError([f"transfer: {amount} {asset} was asked for, but {prepared_amount} was prepared."])
    except SheetError as error:
        raise CommandError(
            "onramp: the service's refill is not what this computer's settings allow; nothing was written.",
            *(f"  {problem}" for problem in error.problems),
        ) from error


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {"refill": refill, "refill-check": refill_check}
"""The function of each command, by its name after `onramp treasury`."""
