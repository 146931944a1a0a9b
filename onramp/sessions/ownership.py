"""Decide whether a session at Stripe belongs to this deployment: several may share one account, and only the seller may rebuild and pay.

Each session carries chain id, hot wallet and deployment id in Stripe's metadata, which only the account's secret key can write. The row
keeps the same three, so that a retry requests the same session from Stripe and a copied row can be recognized.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

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

MAX_ID_LENGTH: Final = 40


class Ignored(StrEnum):
    """The reason for which a session at Stripe without a row here is ignored; each value is a label of a metric."""

    NOT_ONRAMP = "not_onramp"
    """The session's metadata carries no session id of this product."""
    UNMARKED = "unmarked"
    """The session's metadata carries no deployment id: sold by a version that wrote none, possibly by another deployment."""
    OTHER_DEPLOYMENT = "other_deployment"
    OTHER_CHAIN = "other_chain"
    MALFORMED = "malformed"
    """The session is ours, but its wallets, fee or mode cannot be read."""
    CURRENCY = "currency"
    """The session is ours, but in a currency that is not sold."""
    AMOUNT = "amount"
    """The session is ours, but of an amount that is not sold."""
    CONTRADICTED = "contradicted"
    """A row has its session id, but records another seller or another sale."""


@dataclass(frozen=True, slots=True)
class Sale:
    """A session sold by this deployment; `hot_wallet` is the wallet it was sold for, None in observe mode."""

    session_id: str
    hot_wallet: str | None


def ownership_columns(deployment: Deployment, config: SessionConfig) -> dict[str, Any]:
    """Return the columns that tie a new session to its seller. In observe mode the hot wallet is None."""
    return {"deployment_id": deployment.id, "chain_id": config.chain_id, "hot_wallet": config.hot_wallet}


def metadata_of(session: Session) -> dict[str, str]:
    """Return the ownership metadata of a session at Stripe; empty for a row from before sessions recorded their seller."""
    if session.deployment_id is None:
        return {}
    metadata = {METADATA_CHAIN: str(session.chain_id), METADATA_DEPLOYMENT: session.deployment_id}
    return metadata if session.hot_wallet is None else metadata | {METADATA_HOT_WALLET: session.hot_wallet}


def sale_of(fact: StripeSession, deployment: Deployment, config: SessionConfig) -> Sale | Ignored:
    """Return the sale of a session that only Stripe remembers, if all its metadata shows that this deployment sold it; else the reason to ignore it."""
    metadata = fact.metadata or {}
    session_id = metadata.get(METADATA_SESSION, "")
    if not is_session_id(session_id):
        return Ignored.NOT_ONRAMP
    seller = metadata.get(METADATA_DEPLOYMENT)
    if not seller:
        return Ignored.UNMARKED
    if seller != deployment.id:
        return Ignored.OTHER_DEPLOYMENT
    if metadata.get(METADATA_CHAIN) != str(config.chain_id):
        return Ignored.OTHER_CHAIN
    wallet = metadata.get(METADATA_HOT_WALLET)
    if wallet is None:
        # Sold in observe mode. A deployment that pays itself must not take over such a purchase.
        return Sale(session_id, None) if config.mode == "observe" else Ignored.MALFORMED
    try:
        return Sale(session_id, to_checksum(wallet))
    except ValueError:
        return Ignored.MALFORMED


def disagreement(session: Session, fact: StripeSession, deployment: Deployment, config: SessionConfig) -> str | None:
    """Return why Stripe's metadata and this row do not name this deployment, chain and hot wallet as the seller; None if they do.

    So a copied or forged row creates no debt. Amounts and addresses are compared elsewhere: `onramp.sessions.apply.not_owed`.
    """
    if _ownership_in(fact.metadata or {}) != metadata_of(session):
        return "Stripe's session names another deployment, chain or hot wallet"
    if session.deployment_id is None:
        created_at = datetime.fromtimestamp(fact.created, UTC)
        if deployment.unmarked_until is None or created_at > deployment.unmarked_until:
            return "Stripe's session carries no deployment id"
        return None
    if session.deployment_id != deployment.id:
        return "it was sold by another deployment"
    if session.chain_id != config.chain_id:
        return "it was sold on another chain"
    return None


def _ownership_in(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the ownership entries that are present, the hot wallet in EIP-55 as rows keep it and as `sale_of` reads it."""
    keys = (METADATA_CHAIN, METADATA_DEPLOYMENT, METADATA_HOT_WALLET)
    entries = {key: metadata[key] for key in keys if metadata.get(key)}
    with contextlib.suppress(KeyError, ValueError):
        entries[METADATA_HOT_WALLET] = to_checksum(entries[METADATA_HOT_WALLET])
    return entries


def is_session_id(text: str) -> bool:
    """Return whether this text may be one of our session ids; other text is never looked up."""
    return text.startswith("ons_") and text.isascii() and text.isprintable() and len(text) <= MAX_ID_LENGTH
