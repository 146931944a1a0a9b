"""The plan of each treasury command, made from the database: what a person reads before they sign, and what the command then has to find."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.http.problems import not_found
from kit.signed_plans.plan import PlanFacts
from onramp.auth.passkeys.dependencies import Planner
from onramp.treasury.dependencies import TreasuryServices
from onramp.treasury.policy import current_terms
from treasury.approvals.plans import amount_text, payout_facts, policy_facts, sweep_facts
from treasury.core.assets import USDC, USDC_DECIMALS
from treasury.core.hot_wallets import HotWallet
from treasury.core.reasons import Reason
from treasury.pause import service as pause_service
from treasury.payouts import approvals as payout_approvals
from treasury.policy import service as policy_service
from treasury.policy.serialization import digest
from treasury.settlements import queries
from treasury.sweeps import service as sweeps_service

HOT_WALLET = "hot_wallet"
_PAYOUT_VERBS = {
    "payout.approve": "Pay",
    "payout.reject": "Refuse to pay",
    "payout.retry": "Try again to pay",
    "payout.settle": "Record as paid elsewhere:",
}


class TreasuryPlans:
    """Makes the plans of the treasury's commands."""

    def __init__(self, services: TreasuryServices) -> None:
        self._services = services

    def planners(self) -> dict[str, Planner]:
        """Return action -> planner."""
        return {
            **{action: self._payout(action, verb) for action, verb in _PAYOUT_VERBS.items()},
            "sweep.approve": self._sweep("Move"),
            "sweep.reject": self._sweep("Refuse to move"),
            "sweep.propose": self.proposal,
            "sweep.panic": self.panic,
            "policy.approve": self._version("Approve"),
            "policy.reject": self._version("Reject"),
            "policy.apply": self.policy_terms,
            "pause.resume": self.resumption,
            "incident.answer": self.answer,
            "usdc.settle": self.settlement,
            "usdc.reverse": self._settlement_decision("Reverse the settlement of"),
            "usdc.reject": self._settlement_decision("Reject the settlement of"),
        }

    def _payout(self, action: str, verb: str) -> Planner:
        async def plan(conn: AsyncConnection, subject: str, _parameters: Mapping[str, Any]) -> PlanFacts:
            payout = await payout_approvals.require(conn, subject)
            clears = action == "payout.approve" and payout.reason == Reason.SCREENING
            text = "Although the recipient is on the sanctions list, pay" if clears else verb
            return payout_facts(
                payout, text, chain_id=self._services.rules.chain_id, policy_version=await self._policy_version(conn)
            )

        return plan

    @staticmethod
    def _sweep(verb: str) -> Planner:
        async def plan(conn: AsyncConnection, subject: str, _parameters: Mapping[str, Any]) -> PlanFacts:
            return sweep_facts(await sweeps_service.require(conn, subject), verb)

        return plan

    def _version(self, verb: str) -> Planner:
        async def plan(conn: AsyncConnection, subject: str, _parameters: Mapping[str, Any]) -> PlanFacts:
            version = await policy_service.require(conn, subject)
            return policy_facts(version, verb, await self._policy_version(conn))

        return plan

    async def proposal(self, conn: AsyncConnection, subject: str, parameters: Mapping[str, Any]) -> PlanFacts:
        """Return the plan of proposing a sweep; `subject` is the asset."""
        to = self._cold_address()
        return PlanFacts(
            sentence=f"Propose to move {parameters.get('amount')} {subject} from the hot wallet to the cold wallet {to}",
            asset=subject,
            to=to,
            chain_id=self._services.rules.chain_id,
            wallet=self._services.rules.hot_wallet,
            policy_version=await self._policy_version(conn),
        )

    async def panic(self, conn: AsyncConnection, subject: str, _parameters: Mapping[str, Any]) -> PlanFacts:
        """Return the plan of proposing a panic. Raises Problem 404 for another subject than the hot wallet."""
        if subject != HOT_WALLET:
            raise not_found("wallet")
        to, wallet = self._cold_address(), self._services.rules.hot_wallet
        return PlanFacts(
            sentence=f"Propose to empty the hot wallet {wallet} into the cold wallet {to}",
            to=to,
            chain_id=self._services.rules.chain_id,
            wallet=wallet,
            policy_version=await self._policy_version(conn),
        )

    async def policy_terms(self, conn: AsyncConnection, subject: str, _parameters: Mapping[str, Any]) -> PlanFacts:
        """Return the plan of proposing the terms in file and environment. Raises Problem."""
        if subject != "policy":
            raise not_found("policy")
        return PlanFacts(
            sentence="Apply the policy in the service's file and environment",
            policy_version=await self._policy_version(conn),
            terms=digest(current_terms(self._services)),
        )

    async def resumption(self, conn: AsyncConnection, subject: str, parameters: Mapping[str, Any]) -> PlanFacts:
        """Return the plan of resuming what is paused."""
        if subject != "pause":
            raise not_found("pause")
        pauses = await pause_service.current(conn)
        state = "; ".join(f"{pause.scope} since {pause.at.isoformat()} by {pause.person}" for pause in pauses.ordered)
        scope = parameters.get("scope")
        named = "everything that is paused" if scope == "all" else scope
        return PlanFacts(sentence=f"Resume {named}", state=state, policy_version=await self._policy_version(conn))

    async def answer(self, _conn: AsyncConnection, subject: str, _parameters: Mapping[str, Any]) -> PlanFacts:
        """Return the plan of explaining missing coins or an unmatched transaction; the explanation is the note."""
        return PlanFacts(sentence=f"Explain {subject} as the note says", wallet=self._services.rules.hot_wallet)

    async def settlement(self, _conn: AsyncConnection, subject: str, parameters: Mapping[str, Any]) -> PlanFacts:
        """Return the plan of clearing receivable USDC by a transaction."""
        amount = parameters.get("amount") or "all that the transaction brought,"
        return PlanFacts(sentence=f"Record that {amount} USDC arrived by the transaction {subject}", asset=USDC)

    @staticmethod
    def _settlement_decision(verb: str) -> Planner:
        async def plan(conn: AsyncConnection, subject: str, _parameters: Mapping[str, Any]) -> PlanFacts:
            claims = await queries.of_transaction(conn, subject) if subject.startswith("0x") else []
            row = claims[0] if claims else await queries.require(conn, subject)
            return PlanFacts(
                sentence=f"{verb} {amount_text(row.amount, USDC_DECIMALS, USDC)} by the transaction {row.tx_hash}",
                asset=USDC,
                amount=str(row.amount),
                terms=row.tx_hash,
                proposed_by=row.reversal_person or row.asked_person,
                state=str(row.status),
            )

        return plan

    async def _policy_version(self, conn: AsyncConnection) -> str | None:
        rules = self._services.rules
        if rules.hot_wallet is None:
            return None
        active = await policy_service.active(conn, HotWallet(rules.chain_id, rules.hot_wallet).key)
        return None if active is None else str(active.version)

    def _cold_address(self) -> str | None:
        orders = self._services.orders
        return None if orders is None else orders.cold.pin.address
