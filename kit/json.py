"""Strict JSON for untrusted input: limited depth and number of containers, no duplicate keys, no `NaN`, no NUL.

Importing `eth_account` raises Python's recursion limit to 100,000; the standard parser then ends the whole process with
SIGSEGV on a body of 200,000 brackets. orjson bounds the depth itself, so it always reads first.
"""

import json
import re
from collections import Counter
from itertools import accumulate
from typing import Any

import orjson

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape of U+0000, but not the same characters after an escaped backslash. Postgres accepts no text with U+0000."""


MAX_CONTAINERS = 20_000
"""The most lists and objects in a document. Each is an allocation: 1 MiB of empty lists took 50 ms of the event loop to parse."""


class MalformedJson(ValueError):
    """The bytes are not acceptable JSON; the message says why, for people."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # In one pass, so that a document with thousands of names does not block other requests.
        counts = Counter(name for name, _ in pairs)
        repeated = next(name for name in members if counts[name] > 1)
        raise MalformedJson(f"the field {repeated[:64]!r} is given twice")
    return members


def count_containers(raw: bytes) -> int:
    """Return how many brackets open a list or an object, including those in strings. Raises MalformedJson for more than MAX_CONTAINERS outside strings."""
    brackets = raw.count(b"[") + raw.count(b"{")
    if brackets > MAX_CONTAINERS and _outside_strings(raw).count(b"[") > MAX_CONTAINERS:
        raise MalformedJson(f"the body holds more than {MAX_CONTAINERS} lists and objects")
    return brackets


def loads(raw: bytes) -> Any:
    """Parse one JSON document in UTF-8. Raises MalformedJson for anything else, for duplicate keys, U+0000, a depth above 100, and too many containers."""
    brackets = count_containers(raw)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedJson("the body is not valid JSON") from error
    if brackets > 1 and _depth(raw) > 100:
        raise MalformedJson("the body is nested too deeply")
    if b"\\u0000" in raw and _NUL.search(raw):
        raise MalformedJson("the body holds a NUL character")
    if raw.count(b":") > 1:
        json.loads(raw, object_pairs_hook=_unique)
    return value


_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SQUARE = bytes.maketrans(b"{}", b"[]")
_STEP = {0x5B: 1, 0x5D: -1}
_SHALLOW = 16


def _outside_strings(raw: bytes) -> bytes:
    """Return the brackets of a document that are not part of a string, all of them written as square ones."""
    outside = b"".join(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    return outside.translate(None, _NO_BRACKETS).translate(_SQUARE)


def _depth(raw: bytes) -> int:
    """Return how deep a valid document is nested. A loop over its bytes took 70 ms for the largest body, which blocks all other requests."""
    brackets = _outside_strings(raw)
    # Each pass removes the innermost level; most documents have only a few.
    for level in range(_SHALLOW):
        if not brackets:
            return level
        brackets = brackets.replace(b"[]", b"")
    return _SHALLOW + max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


dumps = orjson.dumps
