"""Stripe's form encoding: `a[b]=c`, lists as `a[]=x` or `a[0]=x`; everything arrives as text."""

import re
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"\[([^\[\]]*)\]")


class BadFormError(Exception):
    """The parameters cannot be read."""


def parse(raw: str) -> dict[str, Any]:
    """Nested dictionaries and lists, in the order sent."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        head, _, rest = name.partition("[")
        keys = [head, *_PART.findall("[" + rest if rest else "")]
        node = tree
        for key in keys[:-1]:
            step = node.setdefault(key or str(len(node)), {})
            if not isinstance(step, dict):
                raise BadFormError(name)
            node = step
        last = keys[-1]
        node[last or str(len(node))] = value
    return {key: _lists(value) for key, value in tree.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_lists(item) for _, item in sorted(value.items(), key=lambda pair: int(pair[0]))]
    return {key: _lists(item) for key, item in value.items()}
