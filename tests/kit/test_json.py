"""JSON from strangers."""

import sys

import pytest

from kit import json


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
        # It would take minutes if each name were compared with all others.
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
