"""Stripe's form encoding: `a[b]=c`, lists as `a[]=x` or `a[0]=x`; every value is text.

Only the reader of a parameter knows whether it is a list or a map, so `parse` returns both as maps.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_plus

from onramp.dev.stripe.errors import StripeError, bad, unknown_parameter

_NESTED: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")
_PART: Final = re.compile(r"\[([^\[\]]*)\]")
MAX_PARAMETERS: Final = 1000


def parse(raw: str) -> dict[str, Any]:
    """Return nested maps of text, in the order sent; the last value of a repeated plain parameter counts."""
    tree: dict[str, Any] = {}
    if not raw:
        return tree
    pieces = raw.split("&")
    if len(pieces) > MAX_PARAMETERS:
        raise bad(None, "Invalid request: too many parameters.")
    for piece in pieces:
        name, _, value = piece.partition("=")
        if not name:
            continue
        head, parts = _path(name)
        node, key = tree, head
        for part in parts:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise _value_and_map(name)
            key = part or str(len(node))
        if isinstance(node.get(key), dict):
            raise _value_and_map(name)
        node[key] = unquote_plus(value) if "%" in value or "+" in value else value
    return tree


@lru_cache(maxsize=1024)
def _path(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the names in a parameter's name: the outermost, then the inner ones. Cached, because clients repeat the same names."""
    name = unquote_plus(name)
    if "[" not in name:
        return name, ()
    shape = _NESTED.fullmatch(name)
    if shape is None:
        raise unknown_parameter(name)
    return shape[1], tuple(_PART.findall(shape[2]))


def _value_and_map(name: str) -> StripeError:
    name = unquote_plus(name)
    return bad(None, f"Invalid request: {name} is given both as a value and as a hash.", name)


def require_known(tree: dict[str, Any], names: Collection[str], prefix: str = "") -> None:
    """Raise StripeError for a parameter that is not in `names`."""
    for name in tree:
        if name not in names:
            raise unknown_parameter(f"{prefix}[{name}]" if prefix else name)


def text(tree: dict[str, Any], name: str, prefix: str = "") -> str | None:
    """Return the plain value of the parameter `name`; None if it is absent. Raises StripeError for an empty text, a list or a map."""
    value = tree.get(name)
    if value is None:
        return None
    full = f"{prefix}[{name}]" if prefix else name
    if not isinstance(value, str):
        raise bad(None, f"Invalid string: {full} is a hash.", full)
    if not value:
        raise bad(
            "parameter_invalid_empty",
            f"You passed an empty string for '{full}'. We assume empty values are an attempt to unset a parameter; however '{full}' cannot be unset.",
            full,
        )
    return value


def boolean(tree: dict[str, Any], name: str) -> bool | None:
    """Return the value of the parameter `name`, which is `true` or `false`; None if it is absent. Raises StripeError for anything else."""
    value = text(tree, name)
    if value is None:
        return None
    if value not in {"true", "false"}:
        raise bad(None, f"Invalid boolean: {value}", name)
    return value == "true"


def integer(tree: dict[str, Any], name: str, prefix: str = "") -> int | None:
    """Return the whole number in the parameter `name`; None if it is absent. Raises StripeError for anything else."""
    value = text(tree, name, prefix)
    if value is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,15}", value):
        full = f"{prefix}[{name}]" if prefix else name
        raise bad("parameter_invalid_integer", f"Invalid integer: {value}", full)
    return int(value)


def mapping(tree: dict[str, Any], name: str, prefix: str = "") -> dict[str, Any]:
    """Return the map in the parameter `name`; empty if it is absent or unset. Raises StripeError for anything else."""
    value = tree.get(name)
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        full = f"{prefix}[{name}]" if prefix else name
        raise bad(None, f"Invalid object: {full}", full)
    return value


def listing(tree: dict[str, Any], name: str) -> tuple[str, ...] | None:
    """Return a list of plain values in the order of their indexes; None if it is absent. Raises Stripe's parameter error for anything else."""
    value = tree.get(name)
    if value is None:
        return None
    if not isinstance(value, dict) or not all(key.isascii() and key.isdigit() for key in value):
        raise bad(None, "Invalid array", name)
    items = []
    for key in sorted(value, key=int):
        item = text(value, key, name)
        assert item is not None
        items.append(item)
    return tuple(items)
