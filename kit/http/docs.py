"""The OpenAPI document laid out for people: one page without scripts, with the table of routes and roles at its end."""

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

from kit.http.auth import VISITORS, may_enter
from kit.http.routes import Route

Schema = Mapping[str, Any]


def page(specification: Schema, routes: tuple[Route, ...]) -> str:
    """Every route, what it takes and answers, and every shape with what its fields are."""
    info = specification["info"]
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in specification["paths"].items()
        for method, operation in methods.items()
    )
    shapes = "".join(_shape(name, shape) for name, shape in sorted(specification["components"]["schemas"].items()))
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(info['title'])}</title><link rel='stylesheet' href='/docs/docs.css'></head><body><main>"
        f"<h1>{html.escape(info['title'])}</h1><p>{html.escape(info['description'])} "
        "<a href='#shapes'>Shapes</a>, <a href='#roles'>who may do what</a>, "
        f"and the document itself: <a href='/openapi.json'>openapi.json</a>.</p>{operations}"
        f"<h1 id='shapes'>Shapes</h1>{shapes}<h1 id='roles'>Who may do what</h1>{_doors(routes)}</main></body></html>"
    )


def _operation(method: str, path: str, operation: Schema) -> str:
    who = ", ".join(name for need in operation["security"] for name in (next(iter(need.values())) or need)) or "anyone"
    takes = [
        f"<code>{html.escape(one['name'])}</code> in {one['in']}{', required' if one['required'] else ''}"
        + (f": {_text(one['description'])}" if "description" in one else "")
        for one in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        takes.append(f"body: {_kind(body['schema'])}")
    answers = [
        f"<code>{status}</code> {_text(answer['description'])}" + (_contents(answer) if status.startswith("2") else "")
        for status, answer in operation["responses"].items()
    ]
    return (
        f"<section><h2><b>{method.upper()}</b> <code>{html.escape(path)}</code></h2>"
        f"<p>{_text(operation['summary'])} <em>Who: {html.escape(who)}.</em></p>{_list(takes)}{_list(answers)}</section>"
    )


def _contents(answer: Schema) -> str:
    found = [
        _kind(content["schema"]) if content else f"<code>{html.escape(media)}</code>"
        for media, content in answer.get("content", {}).items()
    ]
    return f" {' or '.join(found)}" if found else ""


def _shape(name: str, shape: Schema) -> str:
    needed = set(shape.get("required", []))
    fields = [
        f"<code>{html.escape(field)}</code>{'' if field in needed else ' (optional)'}: {_kind(schema)}"
        + (f". {_text(schema['description'])}" if "description" in schema else "")
        for field, schema in shape.get("properties", {}).items()
    ] or [_kind(shape)]
    about = f"<p>{_text(shape['description'])}</p>" if "description" in shape else ""
    return f"<section id='{html.escape(name)}'><h2>{html.escape(name)}</h2>{about}{_list(fields)}</section>"


def _kind(schema: Schema) -> str:
    """What a value may be, in a few words, with a link where it has a shape of its own."""
    if "$ref" in schema:
        name = html.escape(schema["$ref"].rsplit("/", 1)[1])
        return f"<a href='#{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{html.escape(str(one))}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return html.escape(str(schema.get("type", "any")))


def _text(sentence: str) -> str:
    """A sentence, with what stands between backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(sentence))


def _list(items: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else ""


def _doors(routes: Iterable[Route]) -> str:
    """Who may do what: a row for each route, a column for each role."""
    head = "".join(f"<th>{name}</th>" for name in VISITORS)
    rows = "".join(
        f"<tr><td><code>{route.method} {html.escape(route.path)}</code></td>"
        + "".join(f"<td>{'yes' if may_enter(route.who, name) else ''}</td>" for name in VISITORS)
        + "</tr>"
        for route in routes
    )
    return f"<table><thead><tr><th>route</th>{head}</tr></thead><tbody>{rows}</tbody></table>"


STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .5rem 0; }
table { border-collapse: collapse; font-size: .85rem; display: block; overflow-x: auto; } td, th { padding: .15rem .5rem; text-align: left; }
td code { white-space: nowrap; }
h2 { font-size: 1rem; margin: .25rem 0; } code { font-size: .95em; overflow-wrap: anywhere; } ul { margin: .25rem 0; }
"""
