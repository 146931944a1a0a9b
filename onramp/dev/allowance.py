"""Approve PayOnce for the development hot wallet, as `onramp contract approve` does."""

from typing import Final

from kit.logs import get_logger
from onramp.bootstrap.container import open_container
from onramp.bootstrap.contract_calls import make_approver
from onramp.config.settings import Settings
from treasury.payonce.wallet_call import CallRefused

log = get_logger(__name__)
_MINED_SECONDS: Final = 20.0


async def approve_payonce(settings: Settings) -> None:
    """Approve PayOnce for as much as the policy allows, if less than half of it is left; return when that is mined.

    The command's rules hold here too: after a run that was stopped in the middle of a payout, its worker settles that first, so nothing is
    approved until the next start. The database has the newest schema. Raises ChainError.
    """
    if not settings.PAYOUT_CONTRACT:
        return
    async with open_container(settings) as container:
        try:
            approver = await make_approver(container)
            amount = approver.max_allowance
            if 2 * await approver.allowance() >= amount:
                return
            await approver.approve(amount)
        except CallRefused as refused:
            log.warning("dev.payonce_not_approved", detail=str(refused))
            return
        if not await approver.await_allowance(amount, _MINED_SECONDS):
            log.warning("dev.payonce_not_approved", detail="the approval was not mined in time")
