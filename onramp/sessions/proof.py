"""The treasury's own question to Stripe: is this payout owed, how much, and to whom? A row in a database is no authority to pay."""

from chain.errors import ChainError
from chain.types import to_checksum
from kit.database import Database
from kit.problems import Problem
from onramp.deployment.service import OwnDeployment
from onramp.sessions import service
from onramp.sessions.apply import delivered_units, not_owed
from onramp.sessions.model import BASIS_POINTS, expected_musd
from onramp.sessions.rules import SessionRules
from onramp.stripe.errors import StripeNotFound
from onramp.stripe.port import METADATA_FEE, METADATA_WALLET, StripeGateway
from treasury.earlier import EarlierWallets
from treasury.ports import Owed, ProofUnavailable


class StripePaymentProof:
    """Answers from Stripe's session alone: wallet and fee from the metadata that only our key could write there."""

    def __init__(
        self,
        database: Database,
        stripe: StripeGateway,
        rules: SessionRules,
        deployment: OwnDeployment,
        earlier: EarlierWallets,
    ) -> None:
        """The database gives the session's settlement terms; amount, buyer, status and seller come from Stripe."""
        self._database = database
        self._stripe = stripe
        self._rules = rules
        self._deployment = deployment
        self._earlier = earlier

    async def owed(self, session_id: str, stripe_session_id: str) -> Owed | None:
        """What Stripe says is owed; None where it says nothing is. Raises ProofUnavailable when it gives no answer."""
        deployment = await self._deployment.get()
        async with self._database.read() as connection:
            session = await service.get(connection, session_id)
        if session is None or session.stripe_session_id != stripe_session_id:
            return None
        try:
            fact = await self._stripe.get_session(stripe_session_id)
        except StripeNotFound:
            return None
        except Problem as error:
            raise ProofUnavailable(error.detail) from error
        if fact.status != "fulfillment_complete":
            return None
        settlement = self._rules.settlement_address or ""
        is_ours = (fact.wallet_address or "").lower() == settlement.lower()
        if not is_ours or not_owed(session, fact, self._rules, deployment) is not None:
            return None
        units = delivered_units(fact)
        try:
            fee = int((fact.metadata or {})[METADATA_FEE])
            to = to_checksum((fact.metadata or {})[METADATA_WALLET])
        except (KeyError, ValueError):
            return None
        if units is None or not 0 <= fee < BASIS_POINTS:
            return None
        if not await self._is_free(session.hot_wallet):
            return None
        return Owed(amount=expected_musd(units, fee), to=to)

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
