"""The doctor says whether mail can be handed over, and names the setting to mend."""

import pytest

from kit.clock import SystemClock
from kit.mail.mailer import Mailer
from kit.mail.message import Mailbox
from kit.mail.server import SmtpServer
from onramp.doctor.mail import mail
from onramp.ops.health import NotWellError
from tests.support.fake_smtp import FakeSmtp, fake_smtp


async def test_the_mail_server_is_asked_and_nothing_is_sent() -> None:
    async with fake_smtp(FakeSmtp(logins={"shop": "marker"})) as smtp:
        right, wrong = (
            Mailer(SmtpServer("127.0.0.1", smtp.port, "none", "shop", word), Mailbox("o@shop.example"), SystemClock())
            for word in ("marker", "marker2")
        )
        assert await mail(right) == f"127.0.0.1:{smtp.port} accepts a connection and the login"
        with pytest.raises(NotWellError) as refused:
            await mail(wrong)
    assert "SMTP_URL" in refused.value.operator and "marker" not in refused.value.operator
    assert smtp.received == [] and smtp.attempts == []
    assert "no mail is sent" in await mail(None)
