"""NOTICE_URLS: every syntax, its options, and problems that show no secret."""

import pytest

from kit.alarms.model import Severity
from kit.notices.targets import PAGERDUTY, TargetError, missing_parts, parse_targets

KEY = "0123456789abcdef0123456789abcdef"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_each_kind_of_target_is_read() -> None:
    targets = parse_targets(
        f"slack:https://hooks.slack.com/services/T/B/X?severity=page&name=ops, discord:https://discord.com/api/webhooks/1/x?thread_id=7,"
        f"pagerduty:{KEY},mailto:ops@shop.example?buyers=yes,https://ops.example/hook?a=1&secret={SECRET},tgram://token/chat?x=1"
    )
    assert [(target.name, target.scheme, target.url) for target in targets] == [
        ("ops", "slack", "https://hooks.slack.com/services/T/B/X"),
        ("discord-2", "discord", "https://discord.com/api/webhooks/1/x?thread_id=7"),
        ("pagerduty-3", "pagerduty", PAGERDUTY),
        ("mailto-4", "mailto", "ops@shop.example"),
        ("https-5", "https", "https://ops.example/hook?a=1"),
        ("tgram-6", "apprise", "tgram://token/chat?x=1"),
    ]
    assert [target.floor for target in targets[:2]] == [Severity.PAGE, Severity.TICKET]
    assert targets[2].secret == KEY and targets[4].secret == SECRET
    assert [target.shows_buyers for target in targets].index(True) == 3
    assert "services" not in repr(targets) and KEY not in repr(targets) and SECRET not in repr(targets)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("slack:hooks.slack.com/services/hidden1", "begins with https://"),
        ("slack:https://a.example/hidden1?severty=page", "has no option severty"),
        ("slack:https://a.example/hidden1?severity=high", "severity is one of info, ticket, page"),
        ("slack:https://a.example/hidden1?buyers=1", "buyers is yes or no"),
        ("slack:https://a.example/hidden1?name=a b", "name takes up to"),
        ("pagerduty:hidden1", "expected pagerduty:ROUTING_KEY"),
        ("mailto:hidden1", "one address"),
        ("https://a.example/hidden1", "secret is missing"),
        ("https://a.example/hidden1?secret=whsec_hidden1", "secret is missing"),
        ("hidden1", "expected slack:"),
        ("slack:https://a.example/hidden1?name=x,slack:https://b.example/?name=x", "another target is named x"),
    ],
)
def test_a_wrong_part_is_refused_without_being_repeated(text: str, problem: str) -> None:
    with pytest.raises(TargetError) as refused:
        parse_targets(text)
    assert problem in str(refused.value) and "hidden1" not in str(refused.value)


def test_what_a_target_needs_is_named() -> None:
    targets = parse_targets("mailto:ops@shop.example,tgram://hidden1/2?name=phone")
    assert missing_parts(targets, can_mail=True, has_apprise=True) == []
    mail, extra = missing_parts(targets, can_mail=False, has_apprise=False)
    assert "SMTP_URL" in mail and "pip install 'onramp[apprise]'" in extra and "phone" in extra
    assert "hidden1" not in extra
