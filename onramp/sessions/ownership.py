"""Whose session it is at Stripe: one account may serve several deployments, and only the seller may rebuild and pay.

Each session that is made carries chain id, hot wallet and deployment id in Stripe's metadata, which only the account's secret key
can write. The row keeps the same three, so that a retry asks Stripe for the same session and a copied row can be told.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from chain.types import to_checksum
from onramp.deployment.service import Deployment
from onramp.sessions.config import SessionConfig
from onramp.sessions.model import Session
from onramp.stripe.port import (
    METADATA_CHAIN,
    METADATA_DEPLOYMENT,
    METADATA_HOT_WALLET,
    METADATA_SESSION,
    StripeSession,
)


class Ignored(StrEnum):
    """Why a session at Stripe that this database does not know stays unknown; each is a label of a metric."""

    NOT_ONRAMP = "not_onramp"
    """It carries no session id of this product."""
    UNMARKED = "unmarked"
    """It carries no deployment id: sold by a version that wrote none, perhaps by another deployment."""
    OTHER_DEPLOYMENT = "other_deployment"
    OTHER_CHAIN = "other_chain"
    MALFORMED = "malformed"
    """It is ours, and its wallets, fee or mode cannot be read."""
    CURRENCY = "currency"
    """It is ours, in a currency that is not sold."""
    AMOUNT = "amount"
    """It is ours, of an amount that is not sold."""
    CONTRADICTED = "contradicted"
    """A row has its session id, and says that it was sold by others or to others."""


@dataclass(frozen=True, slots=True)
class Sale:
    """A session of this deployment; `hot_wallet` was to pay it, None in observe mode."""

    session_id: str
    hot_wallet: str | None


def marks(deployment: Deployment, rules: SessionConfig) -> dict[str, Any]:
    """The columns that tie a new session to its seller. Without a hot wallet (observe mode) only chain and deployment are named."""
    return {"deployment_id": deployment.id, "chain_id": rules.chain_id, "hot_wallet": rules.hot_wallet}


def metadata_of(session: Session) -> dict[str, str]:
    """What Stripe is given of a session's marks; nothing for a row that was made before there were any."""
    if session.deployment_id is None:
        return {}
    given = {METADATA_CHAIN: str(session.chain_id), METADATA_DEPLOYMENT: session.deployment_id}
    return given if session.hot_wallet is None else given | {METADATA_HOT_WALLET: session.hot_wallet}


def sale_of(fact: StripeSession, deployment: Deployment, rules: SessionConfig) -> Sale | Ignored:
    """Whether this deployment sold a session that only Stripe remembers; every mark must say so."""
    metadata = fact.metadata or {}
    session_id = metadata.get(METADATA_SESSION, "")
    if not is_session_id(session_id):
        return Ignored.NOT_ONRAMP
    named = metadata.get(METADATA_DEPLOYMENT)
    if not named:
        return Ignored.UNMARKED
    if named != deployment.id:
        return Ignored.OTHER_DEPLOYMENT
    if metadata.get(METADATA_CHAIN) != str(rules.chain_id):
        return Ignored.OTHER_CHAIN
    wallet = metadata.get(METADATA_HOT_WALLET)
    if wallet is None:
        # Sold in observe mode. A wallet that pays must not take such a purchase over.
        return Sale(session_id, None) if rules.mode == "observe" else Ignored.MALFORMED
    try:
        return Sale(session_id, to_checksum(wallet))
    except ValueError:
        return Ignored.MALFORMED


def disagreement(session: Session, fact: StripeSession, deployment: Deployment, rules: SessionConfig) -> str | None:
    """Why Stripe's session is not the sale that this row records, or None: a copied or forged row is no debt of ours."""
    told = _marks_in(fact.metadata or {})
    if told != metadata_of(session):
        return "Stripe's session names another deployment, chain or hot wallet"
    if session.deployment_id is None:
        made = datetime.fromtimestamp(fact.created, UTC)
        if deployment.unmarked_until is None or made > deployment.unmarked_until:
            return "Stripe's session carries no deployment id"
        return None
    if session.deployment_id != deployment.id:
        return "it was sold by another deployment"
    if session.chain_id != rules.chain_id:
        return "it was sold on another chain"
    return None


def _marks_in(metadata: Mapping[str, str]) -> dict[str, str]:
    """The marks that are there, the hot wallet in the letters in which rows keep it, as `sale_of` reads it."""
    keys = (METADATA_CHAIN, METADATA_DEPLOYMENT, METADATA_HOT_WALLET)
    found = {key: metadata[key] for key in keys if metadata.get(key)}
    with contextlib.suppress(KeyError, ValueError):
        found[METADATA_HOT_WALLET] = to_checksum(found[METADATA_HOT_WALLET])
    return found


def is_session_id(text: str) -> bool:
    """Whether this may be one of our session ids; other text is never looked up."""
    return text.startswith("ons_") and text.isascii() and text.isprintable() and len(text) <= _MAX_ID


_MAX_ID = 40
