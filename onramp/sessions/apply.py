"""Apply what Stripe reports about a session: the one operation in which webhook, poller, rebuild and replay end."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms import service as alarms_service
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
from onramp.sessions.status import PaymentStatus
from onramp.stripe.port import METADATA_SESSION, StripeSession
from treasury.core import hot_wallets
from treasury.core.assets import USDC_DECIMALS
from treasury.core.hot_wallets import HotWallet
from treasury.payouts import service as payouts_service
from treasury.restores import service as restores_service

log = get_logger(__name__)
SEARCHING: Final = (
    "Paid at Stripe while {wallet} was the hot wallet, and this database had lost the session. The chain is being searched for a payment"
    " by that wallet. Nothing is paid automatically."
)


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of applying a report of Stripe to a session."""

    changed: bool
    conflict: bool = False
    """Whether another process changed the session first: read it again and retry."""
    owes: bool = False
    session: str = ""
    status: str = ""
    """The payment's status after the change."""
    payout: str | None = None
    """The id of the payout that this change created; None if it created none."""


def not_owed(session: Session, fact: StripeSession, config: SessionConfig, deployment: Deployment) -> str | None:
    """Return why a completed session must not be paid out; None if every condition is met."""
    if fact.id != session.stripe_session_id or (fact.metadata or {}).get(METADATA_SESSION) != session.id:
        return "Stripe's session does not carry this session's id"
    if (objection := disagreement(session, fact, deployment, config)) is not None:
        return objection
    if (fact.wallet_address or "").lower() != session.locked_address.lower():
        return "Stripe delivered to another wallet than the one locked"
    if (
        fact.destination_currency != session.destination_currency
        or fact.destination_network != session.destination_network
    ):
        return "Stripe delivered another currency or on another network than configured"
    if config.require_livemode and not fact.livemode:
        return "a test payment cannot be paid out on mainnet"
    if delivered_units(fact) is None:
        return "Stripe does not say how much it delivered"
    return None


def delivered_units(fact: StripeSession) -> int | None:
    """Return the amount that Stripe reports as delivered, in base units of USDC; None if it is missing or unusable."""
    try:
        units = parse_units(fact.destination_amount or "", USDC_DECIMALS)
    except ValueError:
        return None
    return units if 0 < units * USDC_TO_MUSD < 2**256 else None


async def apply(
    conn: AsyncConnection,
    session: Session,
    fact: StripeSession,
    config: SessionConfig,
    deployment: Deployment,
    *,
    now: datetime,
    ids: Ids,
) -> Applied:
    """Change `session` to what `fact` reports and create the payout that it then owes, in the caller's transaction. Return what changed."""
    values: dict[str, Any] = {}
    objection: str | None = None
    match states.report(session.payment_status, fact.status):
        case Same():
            return Applied(changed=False, session=session.id)
        case Refused(reason):
            if session.attention == reason:
                return Applied(changed=False, session=session.id)
            log.error("session.fact_refused", session=session.id, reason=reason)
            values["attention"] = reason
        case Moved(status):
            values |= {"payment_status": status, "payment_updated_at": now, "asked_at": now, "tries": 0}
            if status is PaymentStatus.FULFILLMENT_COMPLETE:
                objection = _objection(session, fact, config, deployment)
                values |= _completion(session, fact, objection, now)
                if values.get("expected_units") and await _may_be_paid(conn, session, config):
                    values |= await _search_first(conn, session, values.pop("expected_units"), now)
    if not await sessions_service.change(conn, session, now=now, **values):
        return Applied(changed=False, conflict=True)
    if objection is not None:
        facts = {"session": session.id, "reason": objection}
        await alarms_service.raise_in(conn, "session.not_owed", session.id, now, **facts)
    expected_units = values.get("expected_units")
    owes, payout = expected_units is not None and session.mode == "payout", None
    if owes:
        if config.hot_wallet is None or session.stripe_session_id is None:
            raise RuntimeError("payout mode without a hot wallet")
        payout = await payouts_service.create_payout(
            conn,
            session_id=session.id,
            stripe_session_id=session.stripe_session_id,
            to=session.wallet_address,
            amount=values["expected_units"],
            token=config.token,
            wallet=config.hot_wallet,
            now=now,
            ids=ids,
            usdc=delivered_units(fact),
        )
    payment_status = values.get("payment_status", session.payment_status)
    return Applied(changed=True, owes=owes, session=session.id, status=payment_status, payout=payout)


async def _may_be_paid(conn: AsyncConnection, session: Session, config: SessionConfig) -> bool:
    """Return whether a hot wallet other than the current one may have paid the session, as far as this database can know.

    The wallet that it was sold for need not be the one that paid: after a rotation the next one pays, and a backup from before the
    rotation does not know that. So any other wallet that became known since the sale counts as well, and any whose signatures from before
    a restore may still be mined.
    """
    if session.mode != "payout":
        return False
    unspent = await restores_service.open_of_others(conn, config.chain_id, config.hot_wallet)
    if any(restore.declared_at >= session.created_at for restore in unspent):
        return True
    if session.hot_wallet is not None:
        return session.hot_wallet != config.hot_wallet or await hot_wallets.any_other_since(
            conn, HotWallet(config.chain_id, session.hot_wallet), session.created_at
        )
    return bool(await hot_wallets.others(conn, config.chain_id, config.hot_wallet))


async def _search_first(conn: AsyncConnection, session: Session, expected_units: int, now: datetime) -> dict[str, Any]:
    """Start a search for a payment that an earlier hot wallet may have made, and create no payout yet. Return the columns to change."""
    if not await payment_searches.begin(conn, session.id, session.hot_wallet, expected_units, now):
        log.warning("session.earlier_wallet", session=session.id, hot_wallet=session.hot_wallet)
        return {}
    facts = {"session": session.id, "hot_wallet": session.hot_wallet}
    await alarms_service.raise_in(conn, "session.earlier_wallet_named", session.id, now, **facts)
    return {"attention": SEARCHING.format(wallet=session.hot_wallet)}


def _objection(session: Session, fact: StripeSession, config: SessionConfig, deployment: Deployment) -> str | None:
    """Return why a completed session owes no payout; None if it owes one."""
    units = delivered_units(fact)
    reason = not_owed(session, fact, config, deployment)
    if reason is None and (units is None or expected_musd(units, session.fee_bps) == 0):
        return "what Stripe delivered is too small to pay out"
    return reason


def _completion(session: Session, fact: StripeSession, objection: str | None, now: datetime) -> dict[str, Any]:
    """Return the columns that a completed payment changes. `objection`: why nothing is paid out."""
    units = delivered_units(fact)
    values: dict[str, Any] = {
        "delivered_units": units,
        "paid_at": now,
        "livemode": fact.livemode,
        "delivery_updated_at": now,
    }
    if objection is not None or units is None:
        return values | {"attention": f"Paid at Stripe, but {objection}; nothing was paid out."}
    return values | {"expected_units": expected_musd(units, session.fee_bps)}
