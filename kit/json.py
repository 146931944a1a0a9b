"""JSON that cannot hurt: bounded depth and number of containers, no duplicate keys, no `NaN`, no NUL.

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
"""The escape of U+0000, and not what looks like it behind an escaped backslash. Postgres takes no text with it."""


MAX_CONTAINERS = 20_000
"""How many lists and objects a document may hold. Each is an allocation: 1 MiB of empty lists took 50 ms of the event loop to parse."""


class MalformedJson(ValueError):
    """The bytes are not JSON that we accept; the text says why, for people."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # In one pass: whoever sends thousands of names must not hold up everybody else.
        counted = Counter(name for name, _ in pairs)
        twice = next(name for name in members if counted[name] > 1)
        message = f"the field {twice[:64]!r} is given twice"
        raise MalformedJson(message)
    return members


def count_containers(raw: bytes) -> int:
    """Count the brackets that open a list or an object, those inside strings included; MalformedJson above MAX_CONTAINERS outside them."""
    brackets = raw.count(b"[") + raw.count(b"{")
    if brackets > MAX_CONTAINERS and _outside_strings(raw).count(b"[") > MAX_CONTAINERS:
        raise MalformedJson(f"the body holds more than {MAX_CONTAINERS} lists and objects")
    return brackets


def loads(raw: bytes) -> Any:
    """Parse one JSON document in UTF-8; MalformedJson for anything else, duplicate keys, U+0000 and depths above 100 included."""
    brackets = count_containers(raw)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        message = "the body is not valid JSON"
        raise MalformedJson(message) from error
    if brackets > 1 and _depth(raw) > 100:
        message = "the body is nested too deeply"
        raise MalformedJson(message)
    if b"\\u0000" in raw and _NUL.search(raw):
        message = "the body holds a NUL character"
        raise MalformedJson(message)
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
    """How deep a valid document is nested. A loop over its bytes took 70 ms for the largest body, during which nobody else is served."""
    brackets = _outside_strings(raw)
    # Each pass takes away the innermost level, and in most documents nothing is left after a few.
    for level in range(_SHALLOW):
        if not brackets:
            return level
        brackets = brackets.replace(b"[]", b"")
    return _SHALLOW + max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


dumps = orjson.dumps
