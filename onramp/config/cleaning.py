"""Remove the characters that people and platforms put around a value: white space, a byte order mark, line ends, quotes.

Some programs that read files of variables (docker's `--env-file`, the text field of a console) keep quotes, a carriage return or a trailing
blank as part of the value. None of our values begins or ends with one, so they are removed. Where they could be intended, the value is
refused instead.
"""

from collections.abc import Iterable, Mapping
from typing import Final

BLANKS: Final = "\ufeff\u200b\u2060"
"""Invisible characters that Python does not strip as white space: a byte order mark, a zero-width space, a word joiner."""
_QUOTES: Final = "\"'"
VERBATIM: Final = frozenset({"HOT_WALLET_PASSWORD"})
"""The variables whose values are never changed: a password may begin or end with any character.

One that does is refused here; read from a file, it is used unchanged.
"""
FREE_TEXT: Final = frozenset({"MERCHANT_NAME", "MERCHANT_ADDRESS"})
"""The variables with text that buyers read: white space around it has no meaning, but quotes could be intended."""


def cleaned(text: str) -> str:
    """Return `text` without white space, invisible characters and one pair of quotes around it."""
    text = trimmed(text)
    if is_quoted(text):
        text = trimmed(text[1:-1])
    return text


def trimmed(text: str) -> str:
    """Return `text` without white space (a no-break space included) and invisible characters around it."""
    before = None
    while before != text:
        before, text = text, text.strip().strip(BLANKS)
    return text


def is_quoted(text: str) -> bool:
    """Return whether the whole of `text` is enclosed in one pair of quotes."""
    return len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]


def read(names: Iterable[str], variables: Mapping[str, str | None]) -> tuple[dict[str, str], list[str]]:
    """Return the values of those `names` that are set, by name, and the problems. A problem names the variable and shows no value."""
    values: dict[str, str] = {}
    problems: list[str] = []
    for name in names:
        text = variables.get(name)
        if text is None:
            continue
        if name in VERBATIM:
            values[name] = text
            if text.strip(BLANKS) != text or trimmed(text) != text or is_quoted(text):
                problems.append(
                    f"{name} begins or ends with white space or is in quotes: remove them, or, if they are part of it, "
                    f"put it into a file and name that in {name}_FILE"
                )
        elif name in FREE_TEXT:
            values[name] = trimmed(text)
            if is_quoted(values[name]):
                problems.append(f"{name} is in quotes, which buyers would read: remove them")
        else:
            values[name] = cleaned(text)
    return values, problems
