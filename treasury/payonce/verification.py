"""Compare the contract at PAYOUT_CONTRACT with the pinned PayOnce."""

from chain.payonce import ADDRESS
from chain.pool.pool import Pool
from chain.reads.payonce import Code, read_code
from chain.types import Address


async def contract_problem(pool: Pool, address: Address) -> str | None:
    """Return why the contract at `address` is not PayOnce, as a sentence with the next command; None if it is. Raises ChainError."""
    (code,) = await read_code(pool, address)
    if code is Code.PAYONCE:
        return None
    found = "has no code" if code is Code.MISSING else "has other code than PayOnce"
    if address == ADDRESS:
        advice = "deploy it with `onramp contract deploy`, or unset PAYOUT_CONTRACT."
    else:
        advice = (
            f"PayOnce has the address {ADDRESS} on every chain; see `onramp contract verify`, or unset PAYOUT_CONTRACT."
        )
    return f"PAYOUT_CONTRACT is {address}, which {found} on chain {pool.chain_id}: {advice}"
