"""The message that wallets sign: a parsed message renders unchanged, and nothing else is parsed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onramp.auth.wallets.message import Message, MessageError, check, nonce_in, parse, render

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TEN = timedelta(minutes=10)
# The example of EIP-4361 itself, in two parts, with this chain's id and a nonce and times of the tests.
EIP = (
    "example.com wants you to sign in with your Ethereum account:\n"
    "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\n"
    "I accept the ExampleOrg Terms of Service: https://example.com/tos\n\n"
    "URI: https://example.com/login\nVersion: 1\nChain ID: 31611\nNonce: 32891756abcd\nIssued At: 2026-11-21T12:00:00Z"
)
RESOURCES = "\nResources:\n- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/\n- https://example.com/my-web2-claim.json"
BITCOIN = (
    "example.com wants you to sign in with your Bitcoin account:\nbc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\n\n\n"
    "URI: https://example.com\nVersion: 1\nNonce: 32891756abcd\nIssued At: 2026-11-21T12:00:00.000Z\n"
    "Expiration Time: 2026-11-21T12:10:00.000Z"
)


def accepted(text: str, now: datetime = NOW) -> Message:
    message = parse(text)
    check(message, origin="https://example.com", chain_id=31611, now=now, lifetime=TEN)
    return message


@pytest.mark.parametrize("text", [EIP, BITCOIN])
def test_either_form_is_read_and_renders_as_it_was(text: str) -> None:
    assert render(accepted(text)) == text
    assert nonce_in(text) == "32891756abcd"


def test_the_examples_are_parsed_into_their_parts() -> None:
    message = parse(EIP + RESOURCES)
    assert render(message) == EIP + RESOURCES
    assert (message.domain, message.chain_id, message.nonce) == ("example.com", 31611, "32891756abcd")
    assert message.resources is not None and len(message.resources) == 2
    assert parse(BITCOIN).chain_id is None


@pytest.mark.parametrize("text", [EIP, BITCOIN])
@pytest.mark.parametrize("resources", [RESOURCES, "\nResources:\n- urn:recap:eyJhdHQiOnt9fQ==", "\nResources:"])
def test_a_login_takes_no_resources(text: str, resources: str) -> None:
    with pytest.raises(MessageError, match="takes no resources: ask for a new message"):
        accepted(text + resources)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Version: 1", "Version: 2"),
        ("Version: 1\n", ""),
        ("Chain ID: 31611\n", ""),
        ("Chain ID: 31611", "Chain ID: 031611"),
        ("Chain ID: 31611", "Chain ID: 31612"),
        ("Nonce: 32891756abcd", "Nonce: short"),
        ("Nonce: 32891756abcd", "Nonce: 32891756 abcd"),
        ("Issued At: 2026-11-21T12:00:00Z", "Issued At: yesterday"),
        ("Issued At: 2026-11-21T12:00:00Z", "Issued At: 2026-13-45T99:00:00Z"),
        ("Issued At: 2026-11-21T12:00:00Z", "Issued At: 2026-11-21T12:00:00"),
        ("Issued At: 2026-11-21T12:00:00Z", "Issued At: 2026-11-21T11:49:00Z"),
        ("Issued At: 2026-11-21T12:00:00Z", "Issued At: 2026-11-21T12:06:00Z"),
        ("Issued At: 2026-11-21T12:00:00Z", "Issued At: 2026-11-21T12:00:00Z\nExpiration Time: 2026-11-21T11:59:00Z"),
        ("Issued At: 2026-11-21T12:00:00Z", "Issued At: 2026-11-21T12:00:00Z\nNot Before: 2026-11-21T12:01:00Z"),
        ("example.com wants", "evil.com wants"),
        ("example.com wants", "example.com@evil.com wants"),
        ("example.com wants", "example.com.evil.com wants"),
        ("example.com wants", "http://example.com wants"),
        ("URI: https://example.com/login", "URI: https://evil.com/login"),
        ("URI: https://example.com/login", "URI: http://example.com/login"),
        ("URI: https://example.com/login", "URI: login"),
        ("Ethereum account", "Bitcoin account"),
        ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"),
        ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        ("\n\nI accept", "\nI accept"),
        ("I accept", "I\naccept"),
        ("I accept", "І accept"),  # a Cyrillic letter
        ("\n", "\r\n"),
        ("12:00:00Z", "12:00:00Z\n"),
        ("12:00:00Z", "12:00:00Z\nNonce: 99999999aaaa"),
        ("URI: https", "Nonce: 99999999aaaa\nURI: https"),
    ],
)
def test_a_message_with_any_difference_is_refused(old: str, new: str) -> None:
    assert old in EIP
    with pytest.raises(MessageError):
        accepted(EIP.replace(old, new))


def test_a_message_lives_ten_minutes() -> None:
    accepted(BITCOIN, NOW + TEN - timedelta(seconds=1))
    with pytest.raises(MessageError, match="expired"):
        accepted(BITCOIN, NOW + TEN)


WORDS = st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=30)
MESSAGES = st.builds(
    replace,
    st.sampled_from([parse(EIP + RESOURCES), parse(BITCOIN)]),
    domain=WORDS,
    uri=WORDS,
    nonce=st.from_regex(r"\A[A-Za-z0-9]{0,70}\Z"),
    statement=st.none() | st.text(max_size=30),
    issued_at=st.sampled_from(["2026-11-21T12:00:00Z", "2026-02-30T12:00:00Z", "0001-01-01T00:00:00+14:00"]) | WORDS,
    request_id=st.none() | st.text(max_size=8),
    resources=st.none() | st.lists(WORDS, max_size=3).map(tuple),
    chain_id=st.none() | st.integers(min_value=-1, max_value=2**70),
)


@given(st.one_of(MESSAGES.map(render), st.text(max_size=300)))
def test_no_text_breaks_the_parser_and_what_it_accepts_renders_to_the_same(text: str) -> None:
    try:
        message = parse(text)
    except MessageError:
        return
    assert render(message) == text


@given(
    st.integers(min_value=0, max_value=len(EIP + RESOURCES) - 1),
    st.characters(),
    st.sampled_from([EIP + RESOURCES, BITCOIN]),
)
def test_a_changed_character_is_refused_or_read_unchanged(place: int, letter: str, original: str) -> None:
    text = original[:place] + letter + original[place + 1 :]
    try:
        message = parse(text)
    except MessageError:
        return
    assert render(message) == text
