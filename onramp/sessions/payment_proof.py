"""The treasury's own question to Stripe: is this payout owed, how much, and to whom? A row in a database is no authority to pay."""

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
from onramp.stripe.errors import StripeNotFound
from onramp.stripe.port import METADATA_FEE, METADATA_WALLET, StripeGateway, StripeSession
from treasury.earlier_payments import EarlierWallets
from treasury.ports import NotOwed, Owed, ProofUnavailable


class StripePaymentProof:
    """Answers from Stripe's session alone: wallet and fee from the metadata that only our key could write there.

    The settings may have changed since the purchase was made. The fee and the buyer are Stripe's; the settlement address may be an
    earlier one of this deployment, and the network any on which Stripe delivers USDC to it.
    """

    def __init__(
        self,
        database: Database,
        stripe: StripeGateway,
        rules: SessionConfig,
        deployment: OwnDeployment,
        earlier: EarlierWallets,
        ring: KeyRing,
    ) -> None:
        """The database says which terms the session was made under, and `ring` which of them no other hand wrote."""
        self._database = database
        self._stripe = stripe
        self._rules = rules
        self._deployment = deployment
        self._earlier = earlier
        self._ring = ring

    async def owed(self, session_id: str, stripe_session_id: str) -> Owed | NotOwed:
        """What Stripe says is owed, or why nothing is. Raises ProofUnavailable when it gives no answer."""
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
        if fact.status != "fulfillment_complete":
            return NotOwed(f"Stripe says that the session is {fact.status[:40]}")
        objection = not_owed(session, fact, self._rules, deployment) or await self._paid_elsewhere(fact)
        if objection is not None:
            return NotOwed(objection)
        owed = debt_of(fact)
        if owed is None:
            return NotOwed("the metadata at Stripe does not say who is to be paid, or with which fee")
        if not await self._is_free(session.hot_wallet):
            return NotOwed(
                "Stripe names another hot wallet, which this service does not know: it may have paid it already"
            )
        return owed

    async def _paid_elsewhere(self, fact: StripeSession) -> str | None:
        """Why what Stripe delivered did not reach this deployment, whatever the session's row says of its terms; None where it did."""
        rules, address = self._rules, fact.wallet_address or ""
        if fact.destination_currency != rules.destination_currency:
            return f"Stripe delivered another currency than {rules.destination_currency}"
        if fact.destination_network not in SETTLEMENT_NETWORKS | {rules.destination_network}:
            return "Stripe delivered on a network on which this service takes no payment"
        if address.lower() == (rules.settlement_address or "").lower():
            return None
        async with self._database.read() as conn:
            if await settlement_addresses.is_ours(conn, self._ring, address):
                return None
        return (
            f"Stripe delivered to {address[:42]}, which is neither SETTLEMENT_ADDRESS nor an earlier one that a start recorded: "
            "see 'Change the settlement address' in docs/runbook.md"
        )

    async def _is_free(self, named: str | None) -> bool:
        """Whether this wallet may pay what was sold for the one that Stripe names: it is that wallet, or that one did not pay it.

        A row sold before sessions named their wallet (None) was looked for when it was completed.
        """
        if named is None or named == self._rules.hot_wallet:
            return True
        try:
            return await self._earlier.is_known(named)
        except ChainError as error:
            raise ProofUnavailable(str(error)) from error


def debt_of(fact: StripeSession) -> Owed | None:
    """What a completed session owes its buyer by Stripe's answer alone; None where its metadata or amount cannot be read."""
    units = delivered_units(fact)
    try:
        fee = int((fact.metadata or {})[METADATA_FEE])
        to = to_checksum((fact.metadata or {})[METADATA_WALLET])
    except (KeyError, ValueError):
        return None
    if units is None or not 0 <= fee < BASIS_POINTS:
        return None
    return Owed(amount=expected_musd(units, fee), to=to)
