"""Apply what Stripe says of a session: the one verb in which webhook, poller, rebuild and replay end."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.ids import Ids
from kit.logs import get_logger
from kit.money import parse_units
from onramp.sessions import machine, service
from onramp.sessions.model import USDC_TO_MUSD, Session, expected_musd
from onramp.sessions.rules import SessionRules
from onramp.stripe.port import METADATA_SESSION, StripeSession
from treasury.assets import USDC_DECIMALS
from treasury.payouts import service as payouts

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of it. `changed` False: nothing new. `lost`: another wrote first, read again."""

    changed: bool
    lost: bool = False
    owes: bool = False


def not_owed(session: Session, fact: StripeSession, rules: SessionRules) -> str | None:
    """Why a completed session is not ours to pay out for, or None where everything is as it must be."""
    if fact.id != session.stripe_session_id or (fact.metadata or {}).get(METADATA_SESSION) != session.id:
        return "Stripe's session does not carry this session's id"
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
    connection: AsyncConnection, session: Session, fact: StripeSession, rules: SessionRules, *, now: datetime, ids: Ids
) -> Applied:
    """Bring `session` to what `fact` says, with the payout it then owes, in the caller's one transaction."""
    outcome = machine.move(session.payment_status, fact.status)
    values: dict[str, Any] = {}
    match outcome:
        case machine.Same():
            return Applied(changed=False)
        case machine.Refused(reason):
            if session.attention == reason:
                return Applied(changed=False)
            log.error("session.fact_refused", session=session.id, reason=reason)
            values["attention"] = reason
        case machine.Moved(status):
            values |= {"payment_status": status, "payment_updated_at": now, "asked_at": now, "tries": 0}
            if status == "fulfillment_complete":
                values |= _completion(session, fact, rules, now)
    if not await service.change(connection, session, now=now, **values):
        return Applied(changed=False, lost=True)
    owes = values.get("expected_units") is not None and session.mode == "payout"
    if owes:
        if rules.hot_wallet is None or session.stripe_session_id is None:
            message = "payout mode without a hot wallet"
            raise RuntimeError(message)
        await payouts.owe(
            connection,
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
    log.info(
        "session.payment", session=session.id, status=values.get("payment_status", session.payment_status), owes=owes
    )
    return Applied(changed=True, owes=owes)


def _completion(session: Session, fact: StripeSession, rules: SessionRules, now: datetime) -> dict[str, Any]:
    units = delivered_units(fact)
    values: dict[str, Any] = {
        "delivered_units": units,
        "paid_at": now,
        "livemode": fact.livemode,
        "delivery_updated_at": now,
    }
    reason = not_owed(session, fact, rules)
    owed = expected_musd(units, session.fee_bps) if units is not None else 0
    if reason is None and owed == 0:
        reason = "what Stripe delivered is too small to pay out"
    if reason is not None:
        log.critical("session.not_owed", session=session.id, reason=reason)
        return values | {"attention": f"Paid at Stripe, but {reason}; nothing was paid out."}
    return values | {"expected_units": owed}
