"""Prove to the treasury, from Stripe alone, that a payout is owed, how much and to whom. A database row alone does not authorize a payment."""

from chain.errors import ChainError
from chain.types import to_checksum
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.http.problems import Problem
from onramp.config.validation import SETTLEMENT_NETWORKS
from onramp.deployment.service import OwnDeployment
from onramp.sessions import service as sessions_service
from onramp.sessions import settlement_addresses
from onramp.sessions.apply import delivered_units, not_owed
from onramp.sessions.config import SessionConfig
from onramp.sessions.model import BASIS_POINTS, expected_musd
from onramp.sessions.status import PaymentStatus
from onramp.stripe.errors import StripeNotFound
from onramp.stripe.port import METADATA_FEE, METADATA_WALLET, StripeGateway, StripeSession
from treasury.earlier_payments import EarlierWalletReader
from treasury.ports import NotOwed, Owed, ProofUnavailable


class StripePaymentProof:
    """Proves debts by Stripe's session: only our secret key could write its metadata. Implements the treasury's port for payment proofs.

    The settings may have changed since the purchase. Fee and buyer come from Stripe; the settlement address may be an earlier one of this
    deployment, and the network any on which Stripe delivers USDC to it.
    """

    def __init__(
        self,
        database: Database,
        stripe: StripeGateway,
        config: SessionConfig,
        deployment: OwnDeployment,
        earlier_wallets: EarlierWalletReader,
        ring: KeyRing,
    ) -> None:
        """Store the parts; `ring` authenticates the settlement addresses recorded in the database."""
        self._database = database
        self._stripe = stripe
        self._config = config
        self._deployment = deployment
        self._earlier_wallets = earlier_wallets
        self._ring = ring

    async def owed(self, session_id: str, stripe_session_id: str) -> Owed | NotOwed:
        """Return what Stripe's session owes, or NotOwed with the reason. Raises ProofUnavailable if that cannot be determined now."""
        deployment = await self._deployment.get()
        async with self._database.read() as conn:
            session = await sessions_service.get(conn, session_id)
        if session is None or session.stripe_session_id != stripe_session_id:
            return NotOwed("no purchase here belongs to this payout and its Stripe session")
        try:
            fact = await self._stripe.get_session(stripe_session_id)
        except StripeNotFound:
            return NotOwed("Stripe knows no such session")
        except Problem as error:
            raise ProofUnavailable(error.detail) from error
        if fact.status != PaymentStatus.FULFILLMENT_COMPLETE:
            return NotOwed(f"Stripe says that the session is {fact.status[:40]}")
        objection = not_owed(session, fact, self._config, deployment) or await self._paid_elsewhere(fact)
        if objection is not None:
            return NotOwed(objection)
        owed = debt_of(fact)
        if owed is None:
            return NotOwed("the metadata at Stripe does not say who is to be paid, or with which fee")
        if not await self._may_pay_for(session.hot_wallet):
            return NotOwed(
                "Stripe names another hot wallet, which this service does not know: it may have paid it already"
            )
        return owed

    async def _paid_elsewhere(self, fact: StripeSession) -> str | None:
        """Return why Stripe's delivery did not reach this deployment, whatever the session's row says; None if it did."""
        config, address = self._config, fact.wallet_address or ""
        if fact.destination_currency != config.destination_currency:
            return f"Stripe delivered another currency than {config.destination_currency}"
        if fact.destination_network not in SETTLEMENT_NETWORKS | {config.destination_network}:
            return "Stripe delivered on a network on which this service takes no payment"
        if address.lower() == (config.settlement_address or "").lower():
            return None
        async with self._database.read() as conn:
            if await settlement_addresses.is_ours(conn, self._ring, address):
                return None
        return (
            f"Stripe delivered to {address[:42]}, which is neither SETTLEMENT_ADDRESS nor an earlier one that a start recorded: "
            "see 'Change the settlement address' in docs/runbook.md"
        )

    async def _may_pay_for(self, sold_for: str | None) -> bool:
        """Return whether the current hot wallet may pay a session that was sold for the wallet `sold_for`.

        It may if the two are the same, or if everything that the other wallet paid is known. Rows from before sessions named their
        wallet (None) were searched for on chain when they were completed.
        """
        if sold_for is None or sold_for == self._config.hot_wallet:
            return True
        try:
            return await self._earlier_wallets.is_known(sold_for)
        except ChainError as error:
            raise ProofUnavailable(str(error)) from error


def debt_of(fact: StripeSession) -> Owed | None:
    """Return what a completed session owes its buyer, from Stripe's answer alone; None if metadata or amount cannot be read."""
    units = delivered_units(fact)
    try:
        fee_bps = int((fact.metadata or {})[METADATA_FEE])
        to = to_checksum((fact.metadata or {})[METADATA_WALLET])
    except (KeyError, ValueError):
        return None
    if units is None or not 0 <= fee_bps < BASIS_POINTS:
        return None
    return Owed(amount=expected_musd(units, fee_bps), to=to)
