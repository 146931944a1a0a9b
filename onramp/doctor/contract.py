"""The doctor's check of the contract at PAYOUT_CONTRACT."""

from contextlib import suppress

from chain.reads.payonce import read_allowance
from kit.db.database import DATABASE_ERRORS
from onramp.bootstrap.container import Container
from onramp.ops.health import NotWellError
from treasury import balances
from treasury.core.assets import MUSD, MUSD_DECIMALS
from treasury.payonce.approval import allowance_text
from treasury.payonce.verification import allowance_problem, contract_problem
from treasury.payouts import service as payouts_service

DIRECT = (
    "PAYOUT_CONTRACT is not set: payouts are direct transfers. The service pays each purchase once, after a restore too if `onramp recover` is"
    " followed. PayOnce would let the chain itself refuse a second payment: docs/payonce.md, `onramp contract verify`"
)


async def payout_contract(container: Container) -> str:
    """Check that PAYOUT_CONTRACT is PayOnce on this chain, and that it may move what payouts need; or say that payouts are direct transfers.

    Raises NotWellError, ChainError.
    """
    address, wallet, token = container.settings.PAYOUT_CONTRACT, container.rules.hot_wallet, container.rules.token
    if not address:
        return DIRECT
    problem = await contract_problem(container.pool, address)
    if problem is not None:
        raise NotWellError(problem)
    text = f"payouts are made through PayOnce at {address} on chain {container.rules.chain_id}"
    if wallet is None:
        return text
    allowance = await read_allowance(container.pool, token, wallet, address)
    largest = container.rules.max_minor * 10 ** (MUSD_DECIMALS - 2)
    problem = allowance_problem(wallet, allowance, await _owed(container, wallet), largest)
    if problem is not None:
        raise NotWellError(problem)
    return f"{text}; it may move {allowance_text(allowance)} of {wallet}"


async def _owed(container: Container, wallet: str) -> int:
    """Return what open payouts of the wallet will take, in base units; 0 if the database does not answer, which has a line of its own."""
    with suppress(*DATABASE_ERRORS):
        async with container.database.read() as conn:
            on_chain, block = await balances.on_chain_of(conn, wallet, MUSD)
            return await payouts_service.reserved(conn, wallet, MUSD, block, balance=on_chain)
    return 0
