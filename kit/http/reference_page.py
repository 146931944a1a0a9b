"""The API reference for people: one HTML page made from the OpenAPI document, with a table of routes and callers at its end.

The page is our own. Scalar's and Redoc's are not used: they are 1 to 3 MB of JavaScript. A reference without scripts is served under the same
`default-src 'none'` policy as the API, adds no third-party code to an origin that handles API keys, and works without a network.
"""

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kit.http.routing import Access, Route

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AccessTable:
    """Which callers each route lets in: a row for each route, a column for each kind of caller."""

    routes: Sequence[Route]
    callers: Sequence[str]
    may_call: Callable[[Access, str], bool]


def page(specification: Schema, access: AccessTable) -> str:
    """Return the page as HTML: every operation with its parameters and responses, every schema with its fields, and the access table."""
    info = specification["info"]
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in specification["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(_schema(name, schema) for name, schema in sorted(specification["components"]["schemas"].items()))
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(info['title'])}</title><link rel='stylesheet' href='/docs/docs.css'></head><body><main>"
        f"<h1>{html.escape(info['title'])}</h1><p>{html.escape(info['description'])} "
        "<a href='#schemas'>Schemas</a>, <a href='#access'>access</a>, "
        f"and the document itself: <a href='/openapi.json'>openapi.json</a>.</p>{operations}"
        f"<h1 id='schemas'>Schemas</h1>{schemas}<h1 id='access'>Access</h1>{_access_table(access)}</main></body></html>"
    )


def _operation(method: str, path: str, operation: Schema) -> str:
    names = [
        name for requirement in operation["security"] for name in (next(iter(requirement.values())) or requirement)
    ]
    inputs = [
        f"<code>{html.escape(parameter['name'])}</code> in {parameter['in']}{', required' if parameter['required'] else ''}"
        + (f": {_text(parameter['description'])}" if "description" in parameter else "")
        for parameter in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        inputs.append(f"body: {_type(body['schema'])}")
    responses = [
        f"<code>{status}</code> {_text(response['description'])}"
        + (_contents(response) if status.startswith("2") else _codes(response))
        for status, response in operation["responses"].items()
    ]
    return (
        f"<section><h2><b>{method.upper()}</b> <code>{html.escape(path)}</code></h2>"
        f"<p>{_text(operation['summary'])} <em>Access: {html.escape(', '.join(names) or 'anyone')}.</em></p>"
        f"{_list(inputs)}{_examples(operation)}{_list(responses)}</section>"
    )


def _examples(operation: Schema) -> str:
    """Return HTML, folded away, with an example of the body that the operation takes and of its response."""
    contents = {"Example body": operation.get("requestBody", {}).get("content", {})}
    contents |= {
        f"Example of {status}": response.get("content", {})
        for status, response in operation["responses"].items()
        if status.startswith("2")
    }
    return "".join(
        f"<details><summary>{title}</summary><pre>{html.escape(json.dumps(media['example'], indent=2, ensure_ascii=False))}</pre></details>"
        for title, content in contents.items()
        for media in content.values()
        if "example" in media
    )


def _contents(response: Schema) -> str:
    types = [
        _type(content["schema"]) if content else f"<code>{html.escape(media)}</code>"
        for media, content in response.get("content", {}).items()
    ]
    return f" {' or '.join(types)}" if types else ""


def _codes(response: Schema) -> str:
    """Return the codes of a problem as HTML; empty for a response without content."""
    problem = response.get("content", {}).get("application/problem+json")
    if problem is None or "allOf" not in problem["schema"]:
        return ""
    own = problem["schema"]["allOf"][1]
    listed = own["anyOf"][0] if "anyOf" in own else own
    codes = [f"<code>{html.escape(code)}</code>" for code in listed["properties"]["code"]["enum"]]
    return f" <small>{', '.join(codes)}</small>" if codes else ""


def _schema(name: str, schema: Schema) -> str:
    required = set(schema.get("required", []))
    fields = [
        f"<code>{html.escape(field)}</code>{'' if field in required else ' (optional)'}: {_type(field_schema)}"
        + (f". {_text(field_schema['description'])}" if "description" in field_schema else "")
        + _example(field_schema)
        for field, field_schema in schema.get("properties", {}).items()
    ] or [_type(schema)]
    about = f"<p>{_text(schema['description'])}</p>" if "description" in schema else ""
    return f"<section id='{html.escape(name)}'><h2>{html.escape(name)}</h2>{about}{_list(fields)}</section>"


def _example(schema: Schema) -> str:
    """Return the example of a field, if it is a single value that its type does not show already; else an empty text."""
    value = schema.get("examples", [None])[0]
    if "enum" in schema or isinstance(value, bool | list | dict) or value is None or "\n" in str(value):
        return ""
    return f" <small>Example: <code>{html.escape(str(value))}</code></small>"


def _type(schema: Schema) -> str:
    """Return the type of a value in a few words, with a link to its schema if it has one of its own."""
    if "$ref" in schema:
        name = html.escape(schema["$ref"].rsplit("/", 1)[1])
        return f"<a href='#{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{html.escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return html.escape(str(schema.get("type", "any")))


def _text(sentence: str) -> str:
    """Return a sentence with HTML escaped; text between backticks becomes code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(sentence))


def _list(items: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else ""


def _access_table(access: AccessTable) -> str:
    head = "".join(f"<th>{caller}</th>" for caller in access.callers)
    rows = "".join(
        f"<tr><td><code>{route.method} {html.escape(route.path)}</code></td>"
        + "".join(f"<td>{'yes' if access.may_call(route.access, caller) else ''}</td>" for caller in access.callers)
        + "</tr>"
        for route in access.routes
    )
    return f"<table><thead><tr><th>route</th>{head}</tr></thead><tbody>{rows}</tbody></table>"


STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .5rem 0; }
table { border-collapse: collapse; font-size: .85rem; display: block; overflow-x: auto; } td, th { padding: .15rem .5rem; text-align: left; }
td code { white-space: nowrap; }
pre { overflow-x: auto; font-size: .85rem; } small { opacity: .75; }
h2 { font-size: 1rem; margin: .25rem 0; } code { font-size: .95em; overflow-wrap: anywhere; } ul { margin: .25rem 0; }
"""
