"""Compare the contract at PAYOUT_CONTRACT with the pinned PayOnce, and the amount that it may move with the amount that payouts need."""

from chain.payonce import ADDRESS
from chain.pool.pool import Pool
from chain.reads.payonce import Code, read_code
from chain.types import Address
from treasury.payonce.approval import allowance_text


async def contract_problem(pool: Pool, address: Address) -> str | None:
    """Return why the contract at `address` is not PayOnce, as a sentence with the next command; None if it is PayOnce. Raises ChainError."""
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


def allowance_problem(wallet: Address, allowance: int, owed: int, largest: int) -> str | None:
    """Return why PayOnce may move too little, as a sentence with the next command; None if it may move enough.

    `owed` is what open payouts will take, and `largest` what one purchase may; all are base units of MUSD.
    """
    if allowance >= max(owed, largest):
        return None
    if not allowance:
        text = f"{wallet} has not approved PayOnce to move MUSD, so no payout can be made"
    elif allowance < owed:
        text = (
            f"PayOnce may move {allowance_text(allowance)} of {wallet}, and payouts of {allowance_text(owed)} are owed"
        )
    else:
        text = f"PayOnce may move {allowance_text(allowance)} of {wallet}, less than one purchase of {allowance_text(largest)}"
    return f"{text}: stop the worker `treasury`, then `onramp contract approve`"
