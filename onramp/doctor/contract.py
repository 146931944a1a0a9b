"""The doctor's check of the contract at PAYOUT_CONTRACT."""

from chain.reads.payonce import read_allowance
from kit.money import format_units
from onramp.bootstrap.container import Container
from onramp.ops.health import NotWellError
from treasury.core.assets import MUSD_DECIMALS
from treasury.payonce.verification import contract_problem

_UNLIMITED = 2**255
"""Base units. An allowance above it was meant to have no limit."""


async def payout_contract(container: Container) -> str:
    """Check that PAYOUT_CONTRACT is PayOnce on this chain, and report how much it may move. Raises NotWellError, ChainError."""
    address, wallet, token = container.settings.PAYOUT_CONTRACT, container.rules.hot_wallet, container.rules.token
    problem = await contract_problem(container.pool, address)
    if problem is not None:
        raise NotWellError(problem)
    text = f"PayOnce stands at {address} on chain {container.rules.chain_id}; payouts do not use it yet, they are direct transfers"
    if wallet is None:
        return text
    allowance = await read_allowance(container.pool, token, wallet, address)
    if allowance == 0:
        return f"{text}; {wallet} has not approved it to move MUSD, which it needs before they can: approve({address}, amount) at {token}"
    amount = "any amount of" if allowance >= _UNLIMITED else format_units(allowance, MUSD_DECIMALS)
    return f"{text}; it may move {amount} MUSD of {wallet}"
