"""The checks of a sweep before it gets a nonce; the last of them verifies the cold wallet."""

from typing import NamedTuple

from chain.abi.erc20 import encode_transfer
from chain.errors import ChainError
from treasury.cold.identity import Unverified
from treasury.cold.service import is_recent
from treasury.core.assets import NATIVE
from treasury.core.reasons import Reason
from treasury.ports import FeeQuote, WalletView
from treasury.sender import operations
from treasury.sender.context import SenderContext
from treasury.sender.holds import ReadyOperation, hold
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import SweepKind


class _Objection(NamedTuple):
    """Why a sweep is not signed now: it is held for `reason`, or cancelled if that is None."""

    reason: Reason | None
    note: str
    alarm: bool = True


class SweepChecks:
    """Checks the sweep whose turn it is, and holds or cancels it if a check objects."""

    def __init__(self, context: SenderContext) -> None:
        self._context = context

    async def check(self, sweep: Sweep, view: WalletView, ahead: int = 0) -> ReadyOperation | None:
        """Return the sweep, ready to be signed; None if it was held or cancelled. `ahead`: how many nonces' gas is not paid yet."""
        context = self._context
        result = await self._decide(sweep, view, ahead)
        if isinstance(result, ReadyOperation):
            return result
        if result.reason is not None:
            await hold(context, sweep, result.reason, result.note, alarm=result.alarm)
            return None
        async with context.leader.write() as conn:
            await sweeps_service.cancel(conn, sweep.id, now=context.clock.now(), note=result.note)
        return None

    async def _decide(self, sweep: Sweep, view: WalletView, ahead: int) -> ReadyOperation | _Objection:
        context, config = self._context, self._context.config
        panic = sweep.kind is SweepKind.PANIC
        if not self._is_as_approved(sweep):
            return _Objection(Reason.FORGED, "it is not what was approved, or not to the pinned cold wallet")
        async with context.database.read() as conn:
            allowed = panic or await context.gate.sweeps_allowed(conn)
            ceiling = await context.policy.max_fee(conn) or config.max_fee
            version = await context.policy.version(conn)
            objection = await context.policy.destination_objection(conn, sweep)
            is_gas_panic = panic and sweep.token == NATIVE
            panics = await sweeps_service.active(conn, config.wallet, SweepKind.PANIC) if is_gas_panic else []
        if sweep.expires_at is not None and sweep.expires_at <= context.clock.now():
            return _Objection(None, "its approval is older than approval_expires_hours")
        if not allowed:
            return _Objection(Reason.SWEEPS_PAUSED, "sweeps are paused", alarm=False)
        if not panic and sweep.policy_version != version:
            return _Objection(None, "the policy changed since it was approved")
        if objection is not None:
            return _Objection(Reason.POLICY, objection)
        if others := [other for other in panics if other.token != NATIVE and other.transaction_id is None]:
            names = ", ".join(f"{other.id} ({other.asset}, {other.status})" for other in others)
            return _Objection(Reason.GAS_LAST, f"it pays for {names}", alarm=False)
        fees = await context.chain.fees()
        if fees.max_fee > ceiling:
            return _Objection(Reason.FEE_CEILING, f"the chain asks {fees.max_fee} wei, above {ceiling}")
        unverified = await self._verify_cold_wallet(sweep, view)
        if unverified is not None:
            return _Objection(Reason.COLD_WALLET_UNVERIFIED, unverified)
        context.alarms.clear(f"sweep_{Reason.COLD_WALLET_UNVERIFIED}", sweep.id)
        return await self._check_amount(sweep, view, fees, ahead)

    def _is_as_approved(self, sweep: Sweep) -> bool:
        cold_wallet = self._context.cold_wallet
        if cold_wallet is None or sweep.to != cold_wallet.pin.address:
            return False
        return sweep.approval == sweeps_service.proposal_of(sweep).digest()

    async def _verify_cold_wallet(self, sweep: Sweep, view: WalletView) -> str | None:
        """Return why the Safe is not the pinned and approved one, verified at most ten blocks ago; None if it is."""
        cold_wallet = self._context.cold_wallet
        verdict = Unverified(("There is no cold wallet.",)) if cold_wallet is None else await cold_wallet.verify()
        if isinstance(verdict, Unverified):
            return verdict.detail
        if verdict.identity != sweep.safe_identity:
            return "it is not the Safe that was approved"
        return None if is_recent(verdict, view.block_number) else "its proof is older than ten blocks"

    async def _check_amount(
        self, sweep: Sweep, view: WalletView, fees: FeeQuote, ahead: int
    ) -> ReadyOperation | _Objection:
        """Check amount and gas: a panic takes the whole balance, any other sweep exactly what was approved."""
        context, config = self._context, self._context.config
        panic = sweep.kind is SweepKind.PANIC
        try:
            balance, gas_limit = await self._balance_and_gas(sweep, view)
        except ChainError as error:
            # A token that is paused, or has blacklisted sender or recipient, refuses the estimate: that must not block other assets.
            return _Objection(Reason.NOT_ESTIMATED, str(error))
        cost = (gas_limit + ahead * config.gas_limit) * fees.max_fee
        async with context.database.read() as conn:
            outgoing = await operations.outgoing(conn, config.wallet, sweep.asset, view.block_number)
            now = context.clock.now()
            objection = None if panic else await context.policy.sweep_objection(conn, sweep, view, now)
        available = balance - outgoing - (cost if sweep.token == NATIVE else 0)
        amount = available if panic else sweep.amount
        if panic and available <= 0:
            return _Objection(None, "nothing is left to take")
        if objection is not None:
            return _Objection(Reason.POLICY, objection)
        if amount > available or cost > view.native:
            return _Objection(Reason.INSUFFICIENT, "the hot wallet holds too little for it and its gas")
        return ReadyOperation(sweep, amount, gas_limit, fees, panic=panic)

    async def _balance_and_gas(self, sweep: Sweep, view: WalletView) -> tuple[int, int]:
        """Return the wallet's balance of the sweep's token, and the gas of the transfer."""
        chain, config = self._context.chain, self._context.config
        if sweep.token == NATIVE:
            return view.native, await chain.estimate(sweep.to, 1, b"")
        if sweep.token == config.token:
            return view.token, config.gas_limit
        balance = await chain.balance_of(sweep.token, view.block_number)
        return balance, await chain.estimate(sweep.token, 0, encode_transfer(sweep.to, 1))
