"""The doctor's check of the mail server."""

from kit.mail.mailer import Mailer, Outcome
from onramp.ops.health import NotWellError


async def mail(mailer: Mailer | None) -> str:
    """Check that the server of SMTP_URL takes a connection, TLS and the login; nothing is sent. Raises NotWellError."""
    if mailer is None:
        return "not configured: no mail is sent"
    result = await mailer.probe()
    if result.outcome != Outcome.SENT:
        raise NotWellError(f"{result.reason}; buyers get no mail until this is mended. Check SMTP_URL and MAIL_FROM")
    return f"{mailer.place} accepts a connection and the login"
