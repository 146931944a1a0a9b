"""Two answers of nodes as text for people, reduced to what differs."""

from typing import Any, Final

import orjson

from chain.errors import CallReverted

MAX_LENGTH: Final = 2_000
"""The most characters of an answer that are kept; a node may send megabytes."""


def in_words(answer: Any, agreed: Any) -> tuple[str, str]:
    """Return both answers as text: JSON, of two objects only the fields that differ; or the reason of a revert (CallReverted)."""
    if isinstance(answer, dict) and isinstance(agreed, dict):
        # Sorted, and by text: a node may send fields of any kind.
        differing = sorted(name for name in {*answer, *agreed} if _shown(answer.get(name)) != _shown(agreed.get(name)))
        if differing:
            answer = {name: answer[name] for name in differing if name in answer}
            agreed = {name: agreed[name] for name in differing if name in agreed}
    return _text(answer), _text(agreed)


def _shown(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).lower()


def _text(value: Any) -> str:
    text = f"reverted: {value.detail}" if isinstance(value, CallReverted) else orjson.dumps(value).decode()
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 3]}..."
