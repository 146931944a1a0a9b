"""The receipt of a purchase and the proof of its delivery, as JSON."""

from pydantic import Field

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import format_units
from onramp.sessions.model import USDC_TO_MUSD, Session
from onramp.sessions.schemas import DeliveryStatusText, PurchaseStatusText, explorer_link, optional_units
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS


class Proof(Document):
    """The transfer that proves a delivery; fields are null until the chain shows them."""

    status: DeliveryStatusText
    reason: str | None
    token: str
    sender: str | None = Field(serialization_alias="from", validation_alias="sender")
    to: str
    amount: str | None
    expected_amount: str | None
    tx_hash: str | None
    log_index: int | None
    block_number: int | None
    block_hash: str | None
    confirmations: int
    agreed_by: list[str]
    explorer_url: str | None
    chain_id: int


class Receipt(Document):
    """The document that a buyer keeps."""

    session_id: str
    reference: str | None = None
    status: PurchaseStatusText
    merchant_name: str | None
    merchant_address: str | None
    support_email: str | None
    wallet_address: str
    source_amount: str
    source_currency: str
    destination_amount: str | None
    destination_currency: str
    destination_network: str
    payout_fee: str | None
    musd_amount: str | None
    chain_id: int
    token: str
    tx_hash: str | None
    block_number: int | None
    explorer_url: str | None
    stripe_session_id: str | None
    created_at: str
    paid_at: str | None
    confirmed_at: str | None


def proof(session: Session, *, token: str, chain_id: int, explorer: str | None) -> Proof:
    """Return the proof of a session's delivery in its current state."""
    return Proof(
        status=session.delivery_status,
        reason=session.delivery_reason,
        token=token,
        sender=session.sender,
        to=session.wallet_address,
        amount=optional_units(session.received_units, MUSD_DECIMALS),
        expected_amount=optional_units(session.expected_units, MUSD_DECIMALS),
        tx_hash=session.tx_hash,
        log_index=session.log_index,
        block_number=session.block_number,
        block_hash=session.block_hash,
        confirmations=session.confirmations,
        agreed_by=session.agreed_by or [],
        explorer_url=explorer_link(explorer, session.tx_hash),
        chain_id=chain_id,
    )


def receipt(
    session: Session,
    *,
    token: str,
    chain_id: int,
    explorer: str | None,
    merchant: tuple[str | None, str | None, str | None],
) -> Receipt:
    """Return the receipt of a session in its current state; `merchant` is name, address and support e-mail."""
    fee = None
    if session.expected_units is not None and session.delivered_units is not None:
        gross = session.delivered_units * USDC_TO_MUSD
        fee = format_units(gross - session.expected_units, MUSD_DECIMALS)
    name, address, support = merchant
    return Receipt(
        session_id=session.id,
        reference=session.reference,
        status=session.status,
        merchant_name=name,
        merchant_address=address,
        support_email=support,
        wallet_address=session.wallet_address,
        source_amount=session.source.text,
        source_currency=session.source_currency,
        destination_amount=optional_units(session.delivered_units, USDC_DECIMALS),
        destination_currency=session.destination_currency,
        destination_network=session.destination_network,
        payout_fee=fee,
        musd_amount=optional_units(session.received_units, MUSD_DECIMALS),
        chain_id=chain_id,
        token=token,
        tx_hash=session.tx_hash,
        block_number=session.block_number,
        explorer_url=explorer_link(explorer, session.tx_hash),
        stripe_session_id=session.stripe_session_id,
        created_at=rfc3339(session.created_at),
        paid_at=rfc3339(session.paid_at) if session.paid_at else None,
        confirmed_at=rfc3339(session.confirmed_at) if session.confirmed_at else None,
    )
