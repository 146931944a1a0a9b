"""SMTP_URL names a server, and whether it may be used without TLS."""

import pytest

from kit.mail.server import SmtpServer, parse_smtp_url


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://u%40x:p%3A%2F@mail.example", SmtpServer("mail.example", 587, "starttls", "u@x", "p:/")),
        ("smtps://mail.example", SmtpServer("mail.example", 465, "implicit")),
        ("smtp://mail.example:2525/", SmtpServer("mail.example", 2525, "starttls")),
        ("smtp://[::1]:25", SmtpServer("::1", 25, "none")),
        ("smtp://localhost:1025", SmtpServer("localhost", 1025, "none")),
        ("smtp://127.0.0.2:1025", SmtpServer("127.0.0.2", 1025, "none")),
        ("smtps://127.0.0.1", SmtpServer("127.0.0.1", 465, "implicit")),
        ("smtp://127.0.0.1.example", SmtpServer("127.0.0.1.example", 587, "starttls")),
    ],
)
def test_a_url_names_a_server(url: str, server: SmtpServer) -> None:
    assert parse_smtp_url(url, allow_plain=True) == server
    assert parse_smtp_url(url).tls != "none"


@pytest.mark.parametrize(
    "url",
    [
        "marker", "http://u:marker@h", "smtp://", "smtp://u:marker@", "smtp://h:marker", "smtp://h:99999", "smtp://marker@h", "smtp://:marker@h",
        "smtp://h/marker", "smtp://h?marker=1", "smtp://h#marker", "smtp://u:mark%0Aer@h", "smtp://h\nmarker", "smtp://h marker",
    ],
)  # fmt: skip
def test_anything_else_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="takes") as refused:
        parse_smtp_url(url, allow_plain=True)
    assert "marker" not in str(refused.value)


def test_no_repr_shows_a_credential() -> None:
    assert "marker" not in repr(parse_smtp_url("smtps://markeruser:markerword@mail.example"))
