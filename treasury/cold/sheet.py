"""Read back the sheet of a refill, and refuse whatever is not the transfer that its text describes. Pure, no network.

A sheet travels by mail and chat before owners sign it, so nothing in it is believed: the calldata is decoded, every
text and hash is computed again from it, and Safe, owners, threshold, recipient and token must be the configured ones.
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
"""Fields of a SafeTx that a refill never sets; the hashes are computed with zero in their place."""
_TEXTS: Final = frozenset(
    {"safe", "chainId", "nonce", "transfer", "to", "value", "data", "domainHash", "messageHash", "safeTxHash"}
)
_MAX_DECIMALS: Final = 36


class SheetError(Exception):
    """The sheet cannot be trusted; `problems` holds a sentence for each field that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        """All of them at once."""
        super().__init__(" ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a refill must be: out of which Safe, to which wallet, of which tokens (address: symbol and decimals)."""

    pin: ColdPin
    hot_wallet: Address
    tokens: Mapping[Address, tuple[str, int]]


def read_sheet(document: Any, expected: Expected) -> Refill:
    """The refill that the sheet describes: its JSON document, compared with the configuration. Raises SheetError."""
    top = _members("The sheet", document, {"sheet", "owners", "threshold", "holds"})
    said = _members("The field sheet", top["sheet"], {*_TEXTS, "operation"}, optional=_ZERO_FIELDS)
    problems = _zero_fields(said)
    if not _is_call(said["operation"]):
        problems.append(f"operation: the sheet says {said['operation']!r}, and a refill is a plain call (0).")
    problems += _identity(top, expected.pin)
    transaction = _transaction(said, problems)
    if transaction is None:
        raise SheetError(problems)
    if transaction.chain_id != expected.pin.chain_id:
        problems.append(f"chainId: the sheet says {transaction.chain_id}, and CHAIN_ID is {expected.pin.chain_id}.")
    if transaction.safe != expected.pin.address:
        problems.append(f"safe: the sheet says {transaction.safe}, and COLD_SAFE_ADDRESS is {expected.pin.address}.")
    refill = _decoded(transaction, expected, problems)
    problems += _hashes(said, transaction)
    if refill is not None and said["transfer"] != refill.sheet()["transfer"]:
        problems.append(
            f"transfer: the sheet says {said['transfer']!r}, and the transaction moves {refill.sheet()['transfer']!r}."
        )
    if problems or refill is None:
        raise SheetError(problems)
    return refill


def compare_file(document: Any, refill: Refill) -> None:
    """Compare the Transaction Builder's file with the refill of its sheet. Raises SheetError."""
    name = "The Transaction Builder's file"
    top = _members(name, document, {"version", "chainId", "createdAt", "meta", "transactions"})
    created = top["createdAt"]
    if isinstance(created, bool) or not isinstance(created, int):
        raise SheetError([f"createdAt: the file says {created!r}, which is no time in milliseconds."])
    from datetime import UTC, datetime

    wanted = refill.file(datetime.fromtimestamp(0, UTC)) | {"createdAt": created}
    meta = _members("The field meta", top["meta"], set(wanted["meta"]))
    calls = top["transactions"]
    if not isinstance(calls, list) or len(calls) != 1:
        count = len(calls) if isinstance(calls, list) else "none that can be read"
        raise SheetError([f"transactions: the file has {count}, and the sheet has one."])
    call = _members("The field transactions", calls[0], set(wanted["transactions"][0]))
    flat = {key: top[key] for key in ("version", "chainId")} | meta | call
    same = {key: wanted[key] for key in ("version", "chainId")} | wanted["meta"] | wanted["transactions"][0]
    problems = [
        f"{key}: the Transaction Builder's file says {flat[key]!r}, and the sheet makes it {same[key]!r}."
        for key in same
        if not _alike(flat[key], same[key])
    ]
    if problems:
        raise SheetError(problems)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str) and other.startswith("0x"):
        return _lower(one) == other.lower()
    return type(one) is type(other) and one == other


def _lower(text: str) -> str:
    """Hexadecimal in lower case; an address with a wrong checksum stays as it is, which equals nothing."""
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


def _zero_fields(said: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: the sheet says {said[name]!r}, and the transaction that is signed has 0."
        for name in _ZERO_FIELDS
        if name in said and (isinstance(said[name], (bool, float)) or said[name] not in (0, "0", ZERO_ADDRESS))
    ]


def _identity(top: Mapping[str, Any], pin: ColdPin) -> list[str]:
    problems = []
    try:
        owners = [to_checksum(one) for one in top["owners"]] if isinstance(top["owners"], list) else []
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
        problems.append(f"holds: the sheet says {top['holds']!r}, which is no amount.")
    return problems


def _listed(owners: Any) -> str:
    return ", ".join(str(one) for one in owners) if isinstance(owners, (list, tuple)) else repr(owners)


def _transaction(said: Mapping[str, Any], problems: list[str]) -> SafeTransaction | None:
    """The transaction of the sheet's fields; None where one of them cannot be read, which `problems` then says."""
    before = len(problems)
    numbers, addresses = {}, {}
    for name in ("chainId", "nonce", "value"):
        text = said[name]
        if isinstance(text, str) and _WHOLE.fullmatch(text) and int(text) < 2**256:
            numbers[name] = int(text)
        else:
            problems.append(f"{name}: the sheet says {text!r}, which is not a whole number as decimal text.")
    for name in ("safe", "to"):
        try:
            addresses[name] = to_checksum(said[name])
        except (ValueError, TypeError, AttributeError):
            problems.append(f"{name}: the sheet says {said[name]!r}, which is no address or has a wrong checksum.")
    try:
        data = data_bytes(said["data"])
    except ValueError:
        problems.append(f"data: the sheet says {str(said['data'])[:80]!r}, which is not 0x and pairs of hex digits.")
    if len(problems) > before:
        return None
    return SafeTransaction(
        numbers["chainId"], addresses["safe"], addresses["to"], numbers["value"], data, numbers["nonce"]
    )


def _decoded(transaction: SafeTransaction, expected: Expected, problems: list[str]) -> Refill | None:
    """What the transaction moves; None where it is no transfer that can be named, which `problems` then says."""
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
    known = expected.tokens.get(token)
    if known is None:
        listed = ", ".join(f"{symbol} {address}" for address, (symbol, _) in expected.tokens.items())
        problems.append(f"to: the transaction moves the token {token}, and the configured assets are {listed}.")
        return None
    symbol, decimals = known
    return Refill(expected.pin, transaction, symbol, token, to, amount, decimals)


def _hashes(said: Mapping[str, Any], transaction: SafeTransaction) -> list[str]:
    computed = {
        "domainHash": transaction.domain_hash,
        "messageHash": transaction.message_hash,
        "safeTxHash": transaction.safe_tx_hash,
    }
    return [
        f"{name}: the sheet says {said[name]!r}, and the hash of its transaction is 0x{value.hex()}."
        for name, value in computed.items()
        if not isinstance(said[name], str) or said[name].lower() != f"0x{value.hex()}"
    ]
