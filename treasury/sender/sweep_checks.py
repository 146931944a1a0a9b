"""What can speak against a sweep, asked before it gets a nonce; the last of them is the cold wallet's own proof."""

from chain.abi.erc20 import encode_transfer
from chain.errors import ChainError
from treasury.cold.identity import Unverified
from treasury.cold.service import is_recent
from treasury.core.assets import NATIVE
from treasury.core.reasons import Reason
from treasury.ports import FeeQuote, WalletView
from treasury.sender import operations
from treasury.sender.context import SenderContext
from treasury.sender.holds import Ready, hold
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import Kind


class Sweeping:
    """Decides about the sweep whose turn it is."""

    def __init__(self, desk: SenderContext) -> None:
        """Nothing is remembered here."""
        self._desk = desk

    async def ready(self, sweep: Sweep, view: WalletView, ahead: int = 0) -> list[Ready]:
        """The sweep as it is to be signed, or nothing: it is held, or over; `ahead`: nonces whose gas is not paid yet."""
        desk, config = self._desk, self._desk.config
        panic = sweep.kind is Kind.PANIC
        cold = desk.cold
        if cold is None or sweep.to != cold.pin.address or sweep.approval != sweeps_service.proposal_of(sweep).digest():
            return await self._hold(
                sweep, Reason.FORGED, "it is not what was approved, or not to the pinned cold wallet"
            )
        async with desk.database.read() as conn:
            allowed = panic or await desk.gate.sweeps_allowed(conn)
            ceiling = await desk.rules.max_fee(conn) or config.max_fee
            version = await desk.rules.version(conn)
            elsewhere = await desk.rules.destination_objection(conn, sweep)
            panics = (
                await sweeps_service.active(conn, config.wallet, Kind.PANIC) if panic and sweep.token == NATIVE else []
            )
        if sweep.expires_at is not None and sweep.expires_at <= desk.clock.now():
            return await self._cancel(sweep, "its approval is older than approval_expires_hours")
        if not allowed:
            return await self._hold(sweep, Reason.SWEEPS_PAUSED, "sweeps are paused", alarm=False)
        if not panic and sweep.policy_version != version:
            return await self._cancel(sweep, "the policy changed since it was approved")
        if elsewhere is not None:
            return await self._hold(sweep, Reason.POLICY, elsewhere)
        if others := [one for one in panics if one.token != NATIVE and one.transaction_id is None]:
            named = ", ".join(f"{one.id} ({one.asset}, {one.status})" for one in others)
            return await self._hold(sweep, Reason.GAS_LAST, f"it pays for {named}", alarm=False)
        fees = await desk.chain.fees()
        if fees.max_fee > ceiling:
            return await self._hold(sweep, Reason.FEE_CEILING, f"the chain asks {fees.max_fee} wei, above {ceiling}")
        if not await self._proved(sweep, view):
            return []
        return await self._funded(sweep, view, fees, ahead)

    async def _proved(self, sweep: Sweep, view: WalletView) -> bool:
        """The Safe is the pinned one, and the one that was approved, not more than ten blocks ago."""
        desk = self._desk
        verdict = await desk.cold.verify() if desk.cold is not None else Unverified(("There is no cold wallet.",))
        if isinstance(verdict, Unverified):
            await self._hold(sweep, Reason.COLD_WALLET_UNVERIFIED, verdict.detail)
            return False
        if verdict.identity != sweep.safe_identity:
            await self._hold(sweep, Reason.COLD_WALLET_UNVERIFIED, "it is not the Safe that was approved")
            return False
        if not is_recent(verdict, view.block_number):
            await self._hold(sweep, Reason.COLD_WALLET_UNVERIFIED, "its proof is older than ten blocks")
            return False
        desk.alarms.clear(f"sweep_{Reason.COLD_WALLET_UNVERIFIED}", sweep.id)
        return True

    async def _funded(self, sweep: Sweep, view: WalletView, fees: FeeQuote, ahead: int) -> list[Ready]:
        """Amount and gas: a panic takes all there is, anything else exactly what was approved."""
        desk, config = self._desk, self._desk.config
        native, panic = sweep.token == NATIVE, sweep.kind is Kind.PANIC
        try:
            balance, gas = await self._asked(sweep, view)
        except ChainError as error:
            # A token that is paused, or lists one of the two, refuses the estimate: it must not keep the others here.
            return await self._hold(sweep, Reason.NOT_ESTIMATED, str(error))
        cost = (gas + ahead * config.gas_limit) * fees.max_fee
        async with desk.database.read() as conn:
            outgoing = await operations.outgoing(conn, config.wallet, sweep.asset, view.block_number)
            objection = None if panic else await desk.rules.sweep_objection(conn, sweep, view, desk.clock.now())
        most = balance - outgoing - (cost if native else 0)
        amount = most if panic else sweep.amount
        if panic and most <= 0:
            return await self._cancel(sweep, "nothing is left to take")
        if objection is not None:
            return await self._hold(sweep, Reason.POLICY, objection)
        if amount > most or cost > view.native:
            return await self._hold(sweep, Reason.INSUFFICIENT, "the hot wallet holds too little for it and its gas")
        return [Ready(sweep, amount, gas, fees, panic=panic)]

    async def _asked(self, sweep: Sweep, view: WalletView) -> tuple[int, int]:
        """What the wallet holds of it, and the gas that the transfer takes."""
        chain, config = self._desk.chain, self._desk.config
        if sweep.token == NATIVE:
            return view.native, await chain.estimate(sweep.to, 1, b"")
        if sweep.token == config.token:
            return view.token, config.gas_limit
        balance = await chain.balance_of(sweep.token, view.block_number)
        return balance, await chain.estimate(sweep.token, 0, encode_transfer(sweep.to, 1))

    async def _hold(self, sweep: Sweep, reason: Reason, note: str, *, alarm: bool = True) -> list[Ready]:
        await hold(self._desk, sweep, reason, note, alarm=alarm)
        return []

    async def _cancel(self, sweep: Sweep, note: str) -> list[Ready]:
        async with self._desk.leader.write() as conn:
            await sweeps_service.cancel(conn, sweep.id, now=self._desk.clock.now(), note=note)
        return []
