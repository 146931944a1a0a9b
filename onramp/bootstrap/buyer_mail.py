"""Build the worker that sends mail to buyers."""

import asyncio

from chain.deployments import deployment
from kit.mail.message import Attachment, Mailbox
from onramp.bootstrap.container import Container
from onramp.buyer_mail.letters import Letterhead
from onramp.buyer_mail.worker import BuyerMailMetrics, BuyerMailWorker
from onramp.config.settings import Settings
from onramp.sessions import receipt_pdf, receipts
from onramp.sessions.model import Session


def letterhead(settings: Settings, sender: Mailbox, explorer: str | None) -> Letterhead:
    """Return what every mail has in common; the sender stands in for a merchant's name or support address that is not set."""
    return Letterhead(
        merchant=" ".join(settings.MERCHANT_NAME.split()) or sender.name or sender.domain,
        support=Mailbox(settings.SUPPORT_EMAIL) if settings.SUPPORT_EMAIL else Mailbox(sender.address),
        sender_domain=sender.domain,
        base_url=(settings.ONRAMP_API_URL or settings.local_url).rstrip("/"),
        has_page=settings.checkout_is_served,
        explorer=explorer,
    )


def make_buyer_mail(container: Container) -> BuyerMailWorker | None:
    """Create the worker; None if no mail server is configured."""
    settings, rules, mailer = container.settings, container.rules, container.mailer
    sender = settings.mail_sender
    if mailer is None or sender is None:
        return None

    explorer = deployment(settings.CHAIN_ID).explorer

    async def receipt_of(session: Session) -> Attachment:
        document = receipts.receipt(
            session,
            token=rules.token,
            chain_id=rules.chain_id,
            explorer=explorer,
            merchant=settings.merchant,
        )
        # In a thread: setting a page takes some tens of milliseconds.
        content = await asyncio.to_thread(receipt_pdf.pdf, document, confirmed_by=session.agreed_by or [])
        return Attachment(f"receipt-{session.id}.pdf", "application/pdf", content)

    return BuyerMailWorker(
        container.worker_context,
        mailer,
        settings.ring,
        letterhead(settings, sender, explorer),
        receipt_of,
        BuyerMailMetrics(container.registry),
        container.alarms,
    )
