"""JSON that cannot hurt: bounded depth, no duplicate keys, no `NaN`, no NUL.

Importing `eth_account` raises Python's recursion limit to 100,000; the standard parser then ends the whole process with
SIGSEGV on a body of 200,000 brackets. orjson bounds the depth itself, so it always reads first.
"""

import json
import re
from collections import Counter
from typing import Any

import orjson

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape of U+0000, and not what looks like it behind an escaped backslash. Postgres takes no text with it."""


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


def loads(raw: bytes) -> Any:
    """Parse one JSON document in UTF-8; MalformedJson for anything else, duplicate keys, U+0000 and depths above 100 included."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        message = "the body is not valid JSON"
        raise MalformedJson(message) from error
    if raw.count(b"[") + raw.count(b"{") > 1 and _depth(raw) > 100:
        message = "the body is nested too deeply"
        raise MalformedJson(message)
    if b"\\u0000" in raw and _NUL.search(raw):
        message = "the body holds a NUL character"
        raise MalformedJson(message)
    if raw.count(b":") > 1:
        json.loads(raw, object_pairs_hook=_unique)
    return value


def _depth(raw: bytes) -> int:
    depth = deepest = 0
    inside = escaped = False
    for byte in raw:
        if inside:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                inside = False
        elif byte == 0x22:
            inside = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


dumps = orjson.dumps
