"""No value turns one message into another: line breaks in headers, several addresses, odd file names."""

from datetime import UTC, datetime

import pytest

from kit.mail.message import Attachment, InvalidAddressError, Mailbox, Message, parse_mailbox, to_mime

AT = datetime(2026, 12, 1, tzinfo=UTC)
TO = Mailbox("b@example.test")
BREAKS = ("\r\nBcc: evil@example.test", "\nBcc: evil@example.test", "\rBcc: x", "\u2028Bcc: x", "\x00", "\x85Bcc: x")


@pytest.mark.parametrize("tail", BREAKS)
def test_no_header_is_added_by_a_value(tail: str) -> None:
    message = Message("m@x", TO, "Paid" + tail, "text", reply_to=Mailbox("help@shop.example", "Shop" + tail))
    mime = to_mime(message, Mailbox("o@shop.example", "Shop" + tail), AT)
    parsed = mime.as_string()
    assert "bcc" not in {name.lower() for name in mime}
    assert not [line for line in parsed.split("\r\n") if line.lower().startswith("bcc")]
    for odd in (Message("m@x" + tail, TO, "s", "t"), Message("m@x", TO, "s", "t", language="en" + tail)):
        with pytest.raises(ValueError, match="ASCII letters"):
            to_mime(odd, TO, AT)
    with pytest.raises(ValueError, match="ASCII letters"):
        attachment = Attachment("a.pdf" + tail, "application/pdf", b"")
        to_mime(Message("m@x", TO, "s", "t", attachments=(attachment,)), TO, AT)


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "@", "a@", "@b", "a@b@c", "a@b,c@d", "a b@c", "a@b\r\nRCPT TO:<x@y>", "a@b\n", "<a@b>", "a@b>", '"a b"@c', "a@b\x00",
        "a@" + "b" * 260, "a@..", "a\u00a0@b", "a@[127.0.0.1]",
    ],
)  # fmt: skip
def test_anything_but_one_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddressError) as refused:
        Mailbox(text)
    assert len(text) < 4 or text not in str(refused.value)


def test_a_mailbox_has_a_name_and_hides_both() -> None:
    mailbox = parse_mailbox(' "The Shop, Ltd." <orders@shop.example> ')
    assert (mailbox.name, mailbox.address) == ("The Shop, Ltd.", "orders@shop.example")
    assert parse_mailbox("orders@shop.example") == Mailbox("orders@shop.example")
    assert "shop" not in repr(mailbox).lower() and "example" not in repr(Message("m", TO, "s", "t"))
    for text in ("Shop <a@b> <c@d>", "Shop <>", "A\nB <a@b>", "a@b <c"):
        with pytest.raises(InvalidAddressError):
            parse_mailbox(text)
