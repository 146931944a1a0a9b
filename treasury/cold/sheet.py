"""Read the sheet of a refill back, and refuse it unless it is exactly the transfer that its text describes. Pure, no network.

A sheet travels by mail and chat before owners sign it, so nothing in it is trusted: the calldata is decoded, every text and hash is
computed again from it, and Safe, owners, threshold, recipient and token must be the configured ones.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chain.abi.erc20 import decode_transfer
from chain.types import ZERO_ADDRESS, Address, data_bytes, to_checksum
from kit.money import parse_units
from treasury.cold.identity import ColdPin
from treasury.cold.refill import Refill
from treasury.cold.safetx import SafeTransaction
from treasury.core.assets import NATIVE

_WHOLE: Final = re.compile("0|[1-9][0-9]{0,77}", re.ASCII)
_CALLS: Final = ("0 (call)", "0", 0)
_ZERO_FIELDS: Final = ("safeTxGas", "baseGas", "gasPrice", "gasToken", "refundReceiver")
"""The fields of a SafeTx that a refill never sets. The hashes are computed with zero for them."""
_TEXTS: Final = frozenset(
    {"safe", "chainId", "nonce", "transfer", "to", "value", "data", "domainHash", "messageHash", "safeTxHash"}
)
_MAX_DECIMALS: Final = 36


class SheetError(Exception):
    """The sheet is wrong; `problems` holds a sentence for each wrong field."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Expected:
    """The values that a refill must have: from which Safe, to which wallet, in which tokens (address: symbol and decimals)."""

    pin: ColdPin
    hot_wallet: Address
    tokens: Mapping[Address, tuple[str, int]]


def read_sheet(document: Any, expected: Expected) -> Refill:
    """Return the refill that a sheet's JSON document describes, after comparing it with the configuration. Raises SheetError."""
    top = _members("The sheet", document, {"sheet", "owners", "threshold", "holds"})
    fields = _members("The field sheet", top["sheet"], {*_TEXTS, "operation"}, optional=_ZERO_FIELDS)
    problems = _zero_fields(fields)
    if not _is_call(fields["operation"]):
        problems.append(f"operation: the sheet says {fields['operation']!r}, and a refill is a plain call (0).")
    problems += _identity(top, expected.pin)
    transaction = _transaction(fields, problems)
    if transaction is None:
        raise SheetError(problems)
    if transaction.chain_id != expected.pin.chain_id:
        problems.append(f"chainId: the sheet says {transaction.chain_id}, and CHAIN_ID is {expected.pin.chain_id}.")
    if transaction.safe != expected.pin.address:
        problems.append(f"safe: the sheet says {transaction.safe}, and COLD_SAFE_ADDRESS is {expected.pin.address}.")
    refill = _decoded(transaction, expected, problems)
    problems += _hashes(fields, transaction)
    if refill is not None and fields["transfer"] != refill.sheet()["transfer"]:
        problems.append(
            f"transfer: the sheet says {fields['transfer']!r}, and the transaction moves {refill.sheet()['transfer']!r}."
        )
    if problems or refill is None:
        raise SheetError(problems)
    return refill


def compare_file(document: Any, refill: Refill) -> None:
    """Compare the Transaction Builder's file with the refill of its sheet. Raises SheetError if they differ."""
    name = "The Transaction Builder's file"
    top = _members(name, document, {"version", "chainId", "createdAt", "meta", "transactions"})
    created = top["createdAt"]
    if isinstance(created, bool) or not isinstance(created, int):
        raise SheetError([f"createdAt: the file says {created!r}, which is not a time in milliseconds."])
    from datetime import UTC, datetime

    expected = refill.file(datetime.fromtimestamp(0, UTC)) | {"createdAt": created}
    meta = _members("The field meta", top["meta"], set(expected["meta"]))
    calls = top["transactions"]
    if not isinstance(calls, list) or len(calls) != 1:
        count = len(calls) if isinstance(calls, list) else "none that can be read"
        raise SheetError([f"transactions: the file has {count}, and the sheet has one."])
    call = _members("The field transactions", calls[0], set(expected["transactions"][0]))
    actual = {key: top[key] for key in ("version", "chainId")} | meta | call
    computed = {key: expected[key] for key in ("version", "chainId")} | expected["meta"] | expected["transactions"][0]
    problems = [
        f"{key}: the Transaction Builder's file says {actual[key]!r}, and the sheet makes it {computed[key]!r}."
        for key in computed
        if not _equal(actual[key], computed[key])
    ]
    if problems:
        raise SheetError(problems)


def _equal(actual: Any, computed: Any) -> bool:
    """Return whether two JSON values are equal; hexadecimal texts may differ in case."""
    if isinstance(actual, str) and isinstance(computed, str) and computed.startswith("0x"):
        return _lower(actual) == computed.lower()
    return type(actual) is type(computed) and actual == computed


def _lower(text: str) -> str:
    """Return hexadecimal text in lower case. An address with a wrong checksum stays as it is, so that it equals nothing."""
    try:
        return to_checksum(text).lower()
    except ValueError:
        return text if len(text) == len(ZERO_ADDRESS) else text.lower()


def _members(what: str, value: Any, names: set[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SheetError([f"{what} is not a JSON object; `onramp treasury refill` writes one."])
    missing, unknown = names - set(value), set(value) - names - set(optional)
    problems = [f"{name}: {what[0].lower()}{what[1:]} does not have this field." for name in sorted(missing)]
    problems += [f"{name[:64]}: no refill has this field." for name in sorted(unknown)]
    if problems:
        raise SheetError(problems)
    return value


def _is_call(value: Any) -> bool:
    return not isinstance(value, (bool, float)) and value in _CALLS


def _zero_fields(fields: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: the sheet says {fields[name]!r}, and the transaction that is signed has 0."
        for name in _ZERO_FIELDS
        if name in fields and (isinstance(fields[name], (bool, float)) or fields[name] not in (0, "0", ZERO_ADDRESS))
    ]


def _identity(top: Mapping[str, Any], pin: ColdPin) -> list[str]:
    problems = []
    try:
        owners = [to_checksum(owner) for owner in top["owners"]] if isinstance(top["owners"], list) else []
    except (ValueError, TypeError, AttributeError):
        owners = []
    if sorted(owners) != sorted(pin.owners):
        problems.append(
            f"owners: the sheet says {_listed(top['owners'])}, and COLD_SAFE_OWNERS is {_listed(pin.owners)}."
        )
    threshold = top["threshold"]
    if type(threshold) is not int or threshold != pin.threshold:
        problems.append(f"threshold: the sheet says {threshold!r}, and COLD_SAFE_THRESHOLD is {pin.threshold}.")
    try:
        parse_units(top["holds"], _MAX_DECIMALS)
    except (ValueError, TypeError):
        problems.append(f"holds: the sheet says {top['holds']!r}, which is not an amount.")
    return problems


def _listed(owners: Any) -> str:
    return ", ".join(str(owner) for owner in owners) if isinstance(owners, (list, tuple)) else repr(owners)


def _transaction(fields: Mapping[str, Any], problems: list[str]) -> SafeTransaction | None:
    """Return the transaction that the sheet's fields describe; None, with sentences added to `problems`, if one of them is invalid."""
    before = len(problems)
    numbers, addresses = {}, {}
    for name in ("chainId", "nonce", "value"):
        text = fields[name]
        if isinstance(text, str) and _WHOLE.fullmatch(text) and int(text) < 2**256:
            numbers[name] = int(text)
        else:
            problems.append(f"{name}: the sheet says {text!r}, which is not a whole number as decimal text.")
    for name in ("safe", "to"):
        try:
            addresses[name] = to_checksum(fields[name])
        except (ValueError, TypeError, AttributeError):
            problems.append(
                f"{name}: the sheet says {fields[name]!r}, which is not an address or has a wrong checksum."
            )
    try:
        data = data_bytes(fields["data"])
    except ValueError:
        problems.append(f"data: the sheet says {str(fields['data'])[:80]!r}, which is not 0x and pairs of hex digits.")
    if len(problems) > before:
        return None
    return SafeTransaction(
        numbers["chainId"], addresses["safe"], addresses["to"], numbers["value"], data, numbers["nonce"]
    )


def _decoded(transaction: SafeTransaction, expected: Expected, problems: list[str]) -> Refill | None:
    """Return the transfer that the transaction makes; None, with sentences added to `problems`, if it is not one of a configured asset."""
    if transaction.data:
        moved = decode_transfer(transaction.data)
        if isinstance(moved, str):
            problems.append(f"data: the transaction {moved}, so it is not the transfer of a token.")
            return None
        token, (to, amount) = transaction.to, moved
        if transaction.value:
            problems.append(f"value: the sheet says {transaction.value}, and the transfer of a token has 0.")
    else:
        token, to, amount = NATIVE, transaction.to, transaction.value
    if to != expected.hot_wallet:
        problems.append(f"to: the transaction pays {to}, and the hot wallet is {expected.hot_wallet}.")
    if amount == 0:
        problems.append("amount: the transaction moves 0, and a refill moves more.")
    asset = expected.tokens.get(token)
    if asset is None:
        listed = ", ".join(f"{symbol} {address}" for address, (symbol, _) in expected.tokens.items())
        problems.append(f"to: the transaction moves the token {token}, and the configured assets are {listed}.")
        return None
    symbol, decimals = asset
    return Refill(expected.pin, transaction, symbol, token, to, amount, decimals)


def _hashes(fields: Mapping[str, Any], transaction: SafeTransaction) -> list[str]:
    computed = {
        "domainHash": transaction.domain_hash,
        "messageHash": transaction.message_hash,
        "safeTxHash": transaction.safe_tx_hash,
    }
    return [
        f"{name}: the sheet says {fields[name]!r}, and the hash of its transaction is 0x{value.hex()}."
        for name, value in computed.items()
        if not isinstance(fields[name], str) or fields[name].lower() != f"0x{value.hex()}"
    ]
