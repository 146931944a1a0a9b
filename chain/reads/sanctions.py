"""The sanctions oracle: a contract that says of an address whether it may be paid.

The interface is Chainalysis' (https://go.chainalysis.com/chainalysis-oracle-docs.html), which others have taken up:
`isSanctioned(address) returns (bool)`.
"""

from typing import Final

from chain.abi.words import WORD, address_word
from chain.errors import CallReverted, ChainError
from chain.pool.pool import Pool
from chain.types import Address, data_bytes, to_hex

_IS_SANCTIONED: Final = bytes.fromhex("df592f7d")


class NoOracle(ChainError):
    """The providers agree that no oracle answers at that address."""


async def is_sanctioned(pool: Pool, oracle: Address, address: Address) -> bool:
    """What the contract says at the newest agreed block, as enough providers tell it alike. Raises ChainError, NoOracle among them."""
    await pool.refresh()
    at = hex(pool.agreed_head())
    call = {"to": oracle, "data": to_hex(_IS_SANCTIONED + address_word(address))}
    try:
        answer = data_bytes((await pool.quorum("eth_call", [call, at], key=data_bytes)).value)
    except CallReverted as error:
        message = "the sanctions oracle refuses to answer"
        raise NoOracle(message) from error
    if len(answer) != WORD or int.from_bytes(answer, "big") > 1:
        message = "there is no sanctions oracle at the address that is configured"
        raise NoOracle(message)
    return bool(answer[-1])
