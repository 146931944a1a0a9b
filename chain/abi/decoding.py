"""Decode ABI values that are longer than one word, with eth-abi."""

from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError


def decode_values(types: list[str], data: bytes) -> tuple[Any, ...]:
    """Decode values of the ABI types `types`. Raises ValueError for other data, such as lengths or offsets beyond its end; bytes after the values are ignored.

    The work is bounded by the length of `data`, which the caller limits. Padding must be there and be zero, as ABI encoders write it.
    """
    try:
        return decode(types, data)
    except (DecodingError, OverflowError) as error:
        raise ValueError("not the ABI encoding of these types") from error
