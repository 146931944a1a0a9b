"""Log lines and redaction."""

import io
import json as standard
import logging
import re

import pytest

import onramp  # noqa: F401 - registers the patterns of its secrets
from kit.logs import SecretPattern, add_secret_patterns, bind, configure, get_logger, redact, unbind


def test_libraries_log_from_warning_on_even_if_our_own_loggers_log_debug() -> None:
    stream = io.StringIO()
    configure("debug", "json", stream, own_loggers=("onramp",))
    try:
        for name in ("botocore.auth", "onramp.some_package"):
            logging.getLogger(name).debug("%s says a secret", name)
            logging.getLogger(name).warning("%s warns", name)
    finally:
        configure("warning", "text")
    events = [standard.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events == ["botocore.auth warns", "onramp.some_package says a secret", "onramp.some_package warns"]


SECRETS = (
    "sk_live_51abc", "whsec_aGVsbG8", "cos_1abc_secret_xyz", "ork_0123456789", "Bearer abcdefgh12345",
    "https://spectrum-03.simplystaking.xyz/THEKEY/mezo/", "postgres://user:hunter2@db/onramp", "https://x.example/rpc?secret=THEKEY",
)  # fmt: skip
MARKS = ("51abc", "aGVsbG8", "secret_xyz", "0123456789", "abcdefgh12345", "THEKEY", "hunter2")


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_redacted_anywhere_in_a_line(secret: str) -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    try:
        raise RuntimeError(f"cannot reach {secret} now")
    except RuntimeError:
        get_logger("test").exception("failed", nested={"list": [secret]}, text=f"a {secret} b")
    line = standard.loads(stream.getvalue())
    assert line["event"] == "failed"
    assert not [mark for mark in MARKS if mark in stream.getvalue() or mark in redact(secret)]


@pytest.mark.parametrize("text", ["a." * 200_000, "http://a@" * 20_000, "bearer" + " " * 100_000, "cos_" * 50_000])
def test_redacting_a_long_hostile_text_takes_linear_time(text: str) -> None:
    assert redact(text)  # minutes, otherwise


def test_added_patterns_are_redacted_as_well() -> None:
    text = "the badge is badge_1234"
    assert redact(text) == text
    add_secret_patterns([SecretPattern(re.compile(r"badge_\d+"), "badge_[redacted]", "badge_")])
    assert redact(text) == "the badge is badge_[redacted]"
    assert redact("Bearer abcdefgh12345 badge_1") == "Bearer [redacted] badge_[redacted]"


def test_bound_values_are_in_every_line_until_they_are_unbound() -> None:
    stream = io.StringIO()
    configure("info", "json", stream, own_loggers=("kit",))
    try:
        bind(request_id="req_1")
        get_logger("kit.test").info("first")
        unbind()
        get_logger("kit.test").info("second")
    finally:
        unbind()
        configure("warning", "text")
    first, second = (standard.loads(line) for line in stream.getvalue().splitlines())
    assert first["request_id"] == "req_1" and "request_id" not in second


def test_errors_are_passed_on_redacted() -> None:
    errors: list[str] = []
    configure("info", "json", io.StringIO(), on_error=lambda event: errors.append(str(event)))
    try:
        get_logger("kit.test").error("failed", token="Bearer abcdefgh12345")
        get_logger("sentry_sdk.transport").error("could not send")
    finally:
        configure("warning", "text")
    assert len(errors) == 1 and "abcdefgh12345" not in errors[0]
