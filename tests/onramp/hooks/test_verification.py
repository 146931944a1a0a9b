"""Why a received message is not authentic, said with the specification's own example."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from onramp.hooks.signing import Secrets, new_private_key, new_secret, public_key, signed_headers
from onramp.hooks.verification import verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
HEADERS = {
    "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "Webhook-Timestamp": "1614265330",
    "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
"""The example of https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md."""
NOW = datetime.fromtimestamp(1614265330, UTC)


def with_header(name: str, value: str | None) -> Mapping[str, str]:
    changed = {key: text for key, text in HEADERS.items() if key != name}
    return changed if value is None else changed | {name: value}


def test_the_example_of_the_specification_is_valid() -> None:
    verdict = verify(HEADERS, BODY, SECRET, NOW)
    assert (verdict.ok, verdict.code) == (True, "ok")


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_clock_may_differ_by_five_minutes(seconds: int) -> None:
    assert verify(HEADERS, BODY, SECRET, NOW + timedelta(seconds=seconds)).ok


HEX = base64.b64decode(HEADERS["Webhook-Signature"].removeprefix("v1,")).hex()
OTHER_SECRET = "whsec_" + "A" * 32


@pytest.mark.parametrize(
    ("headers", "body", "secret", "seconds", "code", "words"),
    [
        (with_header("Webhook-Signature", None), BODY, SECRET, 0, "header_missing", "webhook-signature"),
        (with_header("Webhook-Id", " "), BODY, SECRET, 0, "header_missing", "webhook-id"),
        ({}, BODY, SECRET, 0, "header_missing", "webhook-id, webhook-timestamp, webhook-signature"),
        (with_header("Webhook-Timestamp", "2021-02-25T15:02:10Z"), BODY, SECRET, 0, "timestamp_invalid", "seconds"),
        (HEADERS, BODY, SECRET, 301, "too_old", "301 s ago"),
        (HEADERS, BODY, SECRET, -301, "in_the_future", "301 s ahead"),
        (HEADERS, BODY, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0, "secret_invalid", "does not begin with whsec_"),
        (HEADERS, BODY, SECRET[:-3], 0, "secret_invalid", "not complete base64"),
        (HEADERS, BODY, SECRET[:20] + "\n" + SECRET[20:], 0, "secret_invalid", "line break"),
        (with_header("Webhook-Signature", HEADERS["Webhook-Signature"][3:]), BODY, SECRET, 0, "prefix_missing", "v1,"),
        (with_header("Webhook-Signature", "v1a," + "A" * 86 + "=="), BODY, SECRET, 0, "other_version", "public key"),
        (HEADERS, BODY + b"\n", SECRET, 0, "body_changed", "white space"),
        (HEADERS, BODY + b"\r\n", SECRET, 0, "body_changed", "white space"),
        (with_header("Webhook-Signature", "v1," + HEX), BODY, SECRET, 0, "encoding", "written in hex"),
        (
            with_header("Webhook-Id", "dlv_p5jXN8AQM9LWM0D4loKWxJek"),
            BODY,
            SECRET,
            0,
            "id_changed",
            "not the delivery's",
        ),
        (HEADERS, BODY.replace(b"4", b"5", 1), SECRET, 0, "secret_or_body", "No signature matches"),
        (HEADERS, BODY, OTHER_SECRET, 0, "secret_or_body", "of another endpoint"),
        (with_header("Webhook-Timestamp", "1614265331"), BODY, SECRET, 0, "secret_or_body", "webhook-timestamp"),
    ],
)
def test_the_cause_is_named_and_nothing_of_the_secret(
    headers: Mapping[str, str], body: bytes, secret: str, seconds: int, code: str, words: str
) -> None:
    verdict = verify(headers, body, secret, NOW + timedelta(seconds=seconds))
    assert (verdict.ok, verdict.code) == (False, code)
    assert words in verdict.reason
    assert secret.removeprefix("whsec_")[:6] not in verdict.reason


def test_a_body_that_was_parsed_and_written_again_is_recognised() -> None:
    secret = new_secret()
    sent = '{"type":"session.completed","data":{"name":"Zoë","amount":"1.00"}}'.encode()
    headers = signed_headers(Secrets((secret,)), "msg_1", NOW, sent)
    assert verify(headers, sent, secret, NOW).ok
    for received in (json.dumps(json.loads(sent)), json.dumps(json.loads(sent), indent=2, ensure_ascii=False)):
        assert verify(headers, received.encode(), secret, NOW).code == "body_changed"


def test_a_key_that_is_the_secrets_text_is_recognised() -> None:
    secret = new_secret()
    digest = hmac.digest(secret.encode(), b"msg_1.1614265330." + BODY, hashlib.sha256)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1614265330",
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    assert verify(headers, BODY, secret, NOW).code == "key_is_text"


def test_each_of_two_secrets_and_a_public_key_verify_a_message_that_is_signed_with_all() -> None:
    old, new, private = new_secret(), new_secret(), new_private_key()
    headers = signed_headers(Secrets((new, old), (private,)), "msg_1", NOW, BODY)
    for key in (old, new, public_key(private)):
        assert verify(headers, BODY, key, NOW).ok
    assert verify(headers, BODY, public_key(new_private_key()), NOW).code == "secret_or_body"
    assert verify(headers, BODY + b" ", public_key(private), NOW).code == "body_changed"


@pytest.mark.parametrize("signature", ["v1,", "v1,%%%", "v1,ä", ",", "v1", "v1a,AAAA v1,AAAA", "v1," + "A" * 10_000])
def test_no_signature_header_raises(signature: str) -> None:
    for key in (SECRET, public_key(new_private_key())):
        assert not verify(with_header("Webhook-Signature", signature), BODY, key, NOW).ok


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 100_000, b'"\\ud800"', b"null"])
def test_no_body_raises(body: bytes) -> None:
    assert verify(HEADERS, body, SECRET, NOW).code == "secret_or_body"
