"""Apply what Stripe says of a session: the one verb in which webhook, poller, rebuild and replay end."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.ids import Ids
from kit.logs import get_logger
from kit.money import parse_units
from kit.state import Moved, Refused, Same
from onramp.deployment.service import Deployment
from onramp.sessions import payment_searches, states
from onramp.sessions import service as sessions_service
from onramp.sessions.config import SessionConfig
from onramp.sessions.model import USDC_TO_MUSD, Session, expected_musd
from onramp.sessions.ownership import disagreement
from onramp.stripe.port import METADATA_SESSION, StripeSession
from treasury.core import hot_wallets
from treasury.core.assets import USDC_DECIMALS
from treasury.core.hot_wallets import HotWallet
from treasury.payouts import service as payouts_service

log = get_logger(__name__)
LOOKING: Final = (
    "Paid at Stripe while {wallet} was the hot wallet, and this database had lost it: whether that wallet paid the buyer is looked for"
    " on the chain. Nothing is paid automatically."
)


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of it. `changed` False: nothing new. `lost`: another wrote first, read again."""

    changed: bool
    lost: bool = False
    owes: bool = False
    session: str = ""
    status: str = ""
    """The payment's, as it is now."""
    payout: str | None = None
    """What came to be owed by it."""


def not_owed(session: Session, fact: StripeSession, rules: SessionConfig, deployment: Deployment) -> str | None:
    """Why a completed session is not ours to pay out for, or None where everything is as it must be."""
    if fact.id != session.stripe_session_id or (fact.metadata or {}).get(METADATA_SESSION) != session.id:
        return "Stripe's session does not carry this session's id"
    if (objection := disagreement(session, fact, deployment, rules)) is not None:
        return objection
    if (fact.wallet_address or "").lower() != session.locked_address.lower():
        return "Stripe delivered to another wallet than the one locked"
    if (
        fact.destination_currency != session.destination_currency
        or fact.destination_network != session.destination_network
    ):
        return "Stripe delivered another currency or on another network than configured"
    if rules.require_livemode and not fact.livemode:
        return "a test payment cannot be paid out on mainnet"
    if delivered_units(fact) is None:
        return "Stripe does not say how much it delivered"
    return None


def delivered_units(fact: StripeSession) -> int | None:
    """What Stripe says it delivered, in base units; None where it says nothing usable."""
    try:
        units = parse_units(fact.destination_amount or "", USDC_DECIMALS)
    except ValueError:
        return None
    return units if 0 < units * USDC_TO_MUSD < 2**256 else None


async def apply(
    conn: AsyncConnection,
    session: Session,
    fact: StripeSession,
    rules: SessionConfig,
    deployment: Deployment,
    *,
    now: datetime,
    ids: Ids,
) -> Applied:
    """Bring `session` to what `fact` says, with the payout it then owes, in the caller's one transaction."""
    outcome = states.move(session.payment_status, fact.status)
    values: dict[str, Any] = {}
    match outcome:
        case Same():
            return Applied(changed=False, session=session.id)
        case Refused(reason):
            if session.attention == reason:
                return Applied(changed=False, session=session.id)
            log.error("session.fact_refused", session=session.id, reason=reason)
            values["attention"] = reason
        case Moved(status):
            values |= {"payment_status": status, "payment_updated_at": now, "asked_at": now, "tries": 0}
            if status == "fulfillment_complete":
                values |= _completion(session, fact, rules, deployment, now)
                if values.get("expected_units") and await _may_be_paid(conn, session, rules):
                    values |= await _looked_for(conn, session, values.pop("expected_units"), now)
    if not await sessions_service.change(conn, session, now=now, **values):
        return Applied(changed=False, lost=True)
    owes, payout = values.get("expected_units") is not None and session.mode == "payout", None
    if owes:
        if rules.hot_wallet is None or session.stripe_session_id is None:
            message = "payout mode without a hot wallet"
            raise RuntimeError(message)
        payout = await payouts_service.create_payout(
            conn,
            session_id=session.id,
            stripe_session_id=session.stripe_session_id,
            to=session.wallet_address,
            amount=values["expected_units"],
            token=rules.token,
            wallet=rules.hot_wallet,
            now=now,
            ids=ids,
            usdc=delivered_units(fact),
        )
    status = values.get("payment_status", session.payment_status)
    return Applied(changed=True, owes=owes, session=session.id, status=status, payout=payout)


async def _may_be_paid(conn: AsyncConnection, session: Session, rules: SessionConfig) -> bool:
    """Whether another hot wallet than this one may have paid it already, as far as this database can know.

    The wallet that it was sold for need not be the one that paid: after a rotation the next one pays, and a backup from before knows
    nothing of that. So another wallet that became known since the sale counts as well, whichever wallet pays now.
    """
    if session.mode != "payout":
        return False
    if session.hot_wallet is not None:
        return session.hot_wallet != rules.hot_wallet or await hot_wallets.any_other_since(
            conn, HotWallet(rules.chain_id, session.hot_wallet), session.created_at
        )
    return bool(await hot_wallets.others(conn, rules.chain_id, rules.hot_wallet))


async def _looked_for(conn: AsyncConnection, session: Session, amount: int, now: datetime) -> dict[str, Any]:
    """Nothing is owed before the chain has shown whether it was paid."""
    if not await payment_searches.begin(conn, session.id, session.hot_wallet, amount, now):
        log.warning("session.earlier_wallet", session=session.id, hot_wallet=session.hot_wallet)
        return {}
    log.critical("session.earlier_wallet_named", session=session.id, hot_wallet=session.hot_wallet)
    return {"attention": LOOKING.format(wallet=session.hot_wallet)}


def _completion(
    session: Session, fact: StripeSession, rules: SessionConfig, deployment: Deployment, now: datetime
) -> dict[str, Any]:
    units = delivered_units(fact)
    values: dict[str, Any] = {
        "delivered_units": units,
        "paid_at": now,
        "livemode": fact.livemode,
        "delivery_updated_at": now,
    }
    reason = not_owed(session, fact, rules, deployment)
    owed = expected_musd(units, session.fee_bps) if units is not None else 0
    if reason is None and owed == 0:
        reason = "what Stripe delivered is too small to pay out"
    if reason is not None:
        log.critical("session.not_owed", session=session.id, reason=reason)
        return values | {"attention": f"Paid at Stripe, but {reason}; nothing was paid out."}
    return values | {"expected_units": owed}
