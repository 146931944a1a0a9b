"""Approve how much MUSD PayOnce may move out of the hot wallet, within the policy, or take the approval back."""

from dataclasses import dataclass
from typing import Final

from chain.abi.erc20 import encode_approve
from chain.payonce import ADDRESS
from chain.reads.payonce import Code, read_allowance, read_code
from chain.types import Address
from kit.money import format_units
from treasury.core.assets import MUSD_DECIMALS
from treasury.payonce.wallet_call import Call, CallRefused, WalletCaller
from treasury.policy.model import UNLIMITED
from treasury.ports import FeeQuote
from treasury.signers.intent import ApproveIntent

_ENDLESS: Final = 2**255
"""The allowance in base units above which it was meant to have no limit."""


def allowance_text(amount: int) -> str:
    """Return an allowance (base units) as text for people: an amount of MUSD, or that it has no limit."""
    return "any amount of MUSD" if amount >= _ENDLESS else f"{format_units(amount, MUSD_DECIMALS)} MUSD"


@dataclass(frozen=True, slots=True)
class Approver(WalletCaller):
    """Approves PayOnce for one token. `max_allowance` in base units is what the policy allows at most."""

    token: Address
    max_allowance: int

    async def allowance(self) -> int:
        """Return how many base units PayOnce may move now. Raises NoAgreement if too few providers agree."""
        return await read_allowance(self.pool, self.token, self.wallet.address, ADDRESS)

    async def approve(self, amount: int) -> str | None:
        """Sign, store and broadcast an approval of `amount` base units in place of the earlier one; return the transaction's hash.

        0 takes the approval back; UNLIMITED is never used up. None: this amount is approved already. Raises CallRefused, ChainError,
        SignerError.
        """
        self.require_within_policy(amount)
        (code,) = await read_code(self.pool, ADDRESS)
        if amount and code is not Code.PAYONCE:
            raise CallRefused(
                f"PayOnce does not stand at {ADDRESS} on chain {self.wallet.chain_id}, so nothing there is approved: deploy it with"
                " `onramp contract deploy`. Nothing was sent."
            )
        before = await self.allowance()
        if before == amount:
            return None
        call = Call(
            "the approval",
            self.token,
            encode_approve(ADDRESS, amount),
            "contract.approve",
            {"allowance": _audit_text(before)},
            {"allowance": _audit_text(amount), "spender": ADDRESS, "token": self.token},
        )

        def intent(nonce: int, gas_limit: int, fees: FeeQuote) -> ApproveIntent:
            return ApproveIntent(
                chain_id=self.wallet.chain_id,
                wallet=self.wallet.address,
                nonce=nonce,
                token=self.token,
                spender=ADDRESS,
                amount=amount,
                gas_limit=gas_limit,
                max_fee=fees.max_fee,
                priority_fee=fees.priority_fee,
            )

        return await self.send(call, intent)

    async def await_allowance(self, amount: int, seconds: float) -> bool:
        """Wait up to `seconds`; return whether at least two providers then show this allowance, which means that its transaction is mined."""
        from chain.errors import ChainError

        deadline = self.clock.monotonic() + seconds
        while self.clock.monotonic() < deadline:
            try:
                if await self.allowance() == amount:
                    return True
            except ChainError:
                pass  # one node may be a block ahead of another
            await self.clock.sleep(0.5)
        return False

    def require_within_policy(self, amount: int) -> None:
        """Raise CallRefused if the policy does not allow this approval."""
        if amount < 0:
            raise CallRefused("An approval needs an amount above zero, or zero to take it back. Nothing was sent.")
        if amount <= self.max_allowance:
            return
        if not self.max_allowance:
            raise CallRefused(
                "The policy allows no approval: it names neither payouts.max_allowance nor assets.MUSD.ceiling. Nothing was sent."
            )
        advice = ' Only `max_allowance = "unlimited"` allows that.' if amount == UNLIMITED else ""
        raise CallRefused(
            f"PayOnce can be approved to move {allowance_text(self.max_allowance)} at most (payouts.max_allowance of the policy, or else"
            f" assets.MUSD.ceiling), not {allowance_text(amount)}.{advice} Two persons can raise the limit: `onramp treasury policy`. Nothing was sent."
        )


def _audit_text(amount: int) -> str:
    return "unlimited" if amount == UNLIMITED else format_units(amount, MUSD_DECIMALS)
