"""Money, JSON and logs at the edge."""

import io
import json as standard
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import json
from kit.http.accept import preferred
from kit.logs import configure, get_logger, redact
from kit.money import format_units, parse_units


@given(st.integers(0, 2**256 - 1), st.integers(0, 18))
def test_an_amount_survives_being_written_and_read(amount: int, decimals: int) -> None:
    assert parse_units(format_units(amount, decimals), decimals) == amount


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1e3", "NaN", "Infinity", "1.", ".5", "01", " 1", "1 ", "1,5", "0x10", "1_000", "١", "1.001"],
)
def test_what_is_no_plain_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|decimal places"):
        parse_units(text, 2)


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 200_000,
        b"[" * 150 + b"]" * 150,
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":2},"c":3}',
        b"{",
        b'{"a":NaN}',
        b'{"a":"\\u0000"}',
        # Minutes, if each name were looked for among all the others.
        b"{" + b",".join(b'"%x":1' % number for number in range(100_000)) + b',"ffff":1}',
        b"\xff",
        b"",
    ],
)
def test_hostile_json_is_refused_and_the_process_lives(raw: bytes) -> None:
    import eth_account  # noqa: F401 - raises the recursion limit, which is what made this deadly

    assert sys.getrecursionlimit() >= 1000
    with pytest.raises(json.MalformedJson):
        json.loads(raw)


def test_libraries_are_heard_from_warning_on_however_much_is_asked_of_ours() -> None:
    stream = io.StringIO()
    configure("debug", "json", stream)
    try:
        for name in ("botocore.auth", "onramp.some_room"):
            logging.getLogger(name).debug("%s says a secret", name)
            logging.getLogger(name).warning("%s warns", name)
    finally:
        configure("warning", "text")
    said = [standard.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert said == ["botocore.auth warns", "onramp.some_room says a secret", "onramp.some_room warns"]


SECRETS = (
    "sk_live_51abc", "whsec_aGVsbG8", "cos_1abc_secret_xyz", "ork_0123456789", "Bearer abcdefgh12345",
    "https://spectrum-03.simplystaking.xyz/THEKEY/mezo/", "postgres://user:hunter2@db/onramp", "https://x.example/rpc?secret=THEKEY",
)  # fmt: skip
MARKS = ("51abc", "aGVsbG8", "secret_xyz", "0123456789", "abcdefgh12345", "THEKEY", "hunter2")


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_redacted_wherever_it_stands_in_a_line(secret: str) -> None:
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
def test_a_long_text_is_read_once_and_not_from_each_of_its_letters_on(text: str) -> None:
    assert redact(text)  # minutes, otherwise


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*;q=0.5, text/csv", "text/csv"),
        ("text/*, application/json;q=0.9", "text/csv"),
        ("text/csv;q=0, */*;q=0.1", "application/json"),
        ("application/json;q=0.1, TEXT/CSV;Q=0.2", "text/csv"),
        ("text/csv;q=much", None),
        ("image/png", None),
    ],
)
def test_a_client_gets_the_form_it_wants_most(accept: str, answered: str | None) -> None:
    assert preferred(accept, ("application/json", "text/csv")) == answered
