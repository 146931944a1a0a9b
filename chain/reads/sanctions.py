"""Ask the sanctions oracle, a contract that returns whether an address is sanctioned.

The interface is Chainalysis' (https://go.chainalysis.com/chainalysis-oracle-docs.html), which others have adopted:
`isSanctioned(address) returns (bool)`.
"""

from chain.errors import ChainError
from chain.pool.pool import Pool
from chain.reads.contract import Contract, InvalidAnswer
from chain.types import Address, to_checksum


class NoOracle(ChainError):
    """The providers agree that no oracle answers at the configured address."""


async def is_sanctioned(pool: Pool, oracle: Address, address: Address) -> bool:
    """Return whether the oracle lists `address`, as enough providers agree at the newest agreed block.

    Raises ChainError if they do not agree, and NoOracle if no oracle answers at its address.
    """
    await pool.refresh()
    contract = Contract(pool, oracle, "sanctions", block_number=pool.agreed_head())
    try:
        return bool(await contract.call("isSanctioned", to_checksum(address)))
    except InvalidAnswer as error:
        raise NoOracle("there is no sanctions oracle at the configured address, or it refuses to answer") from error
