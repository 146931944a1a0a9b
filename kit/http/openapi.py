"""The OpenAPI 3.1 document, made from the route table that serves: what is documented is what runs."""

import html
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from kit.auth import COLUMNS, may_enter, takes_code
from kit.http.routes import Route, Who

_SECURITY: dict[Who, list[dict[str, list[str]]]] = {
    "anyone": [],
    "wallet": [{"wallet": []}],
    "stripe": [{"stripe": []}],
    "metrics": [{"metrics": []}],
    "viewer": [{"operator": ["viewer"]}],
    "operator": [{"operator": ["operator"]}],
    "approver": [{"operator": ["approver"]}],
    "admin": [{"operator": ["admin"]}],
}
_SCHEMES = {
    "wallet": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From /api/v1/auth/login."},
    "operator": {"type": "http", "scheme": "bearer", "description": "An API key, `ork_...`."},
    "stripe": {
        "type": "apiKey",
        "in": "header",
        "name": "Stripe-Signature",
        "description": "Stripe's webhook signature.",
    },
    "metrics": {"type": "http", "scheme": "bearer", "description": "METRICS_TOKEN, where it is set."},
}
_CODE = {"X-OTP": "A code of the key's second factor, where it has one; each works once."}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "requestId"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable, snake_case."},
        "requestId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_STANDARD = {
    400: "Malformed.",
    404: "Nothing is known under that id.",
    413: "Too large.",
    415: "Not JSON.",
    422: "Says something impossible; `errors` names each field.",
    401: "No or wrong credentials.",
    403: "Not allowed.",
    429: "Too many requests.",
    503: "Unwell; try again.",
}


def document(routes: Iterable[Route], *, title: str, version: str, description: str) -> dict[str, Any]:
    """The whole document as plain data."""
    table = list(routes)
    models = {model for route in table for model in (route.body, route.query, route.answer) if model is not None}
    inputs = {route.body for route in table if route.body is not None} | {
        route.query for route in table if route.query is not None
    }
    wanted: list[tuple[type[BaseModel], Any]] = [
        (model, "validation" if model in inputs else "serialization")
        for model in sorted(models, key=lambda m: m.__name__)
    ]
    refs, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    schema_of: dict[Any, Any] = {model: reference for (model, _mode), reference in refs.items()}
    schemas = {**definitions.get("$defs", {}), "Problem": _PROBLEM}
    paths: dict[str, Any] = {}
    for route in table:
        paths.setdefault(re.sub(r"{(\w+):[^}]+}", r"{\1}", route.path), {})[route.method.lower()] = _operation(
            route, schema_of, schemas
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SCHEMES},
    }


def _operation(route: Route, schema_of: dict[Any, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)[:}]", route.path)
    ]
    if route.query is not None:
        shape = schemas[schema_of[route.query]["$ref"].rsplit("/", 1)[1]]
        parameters += [
            {"name": name, "in": "query", "required": name in shape.get("required", []), "schema": schema}
            for name, schema in shape.get("properties", {}).items()
        ]
    parameters += [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in {**route.headers, **(_CODE if takes_code(route.who, route.method) else {})}.items()
    ]
    answer: dict[str, Any] = {"description": "Done."}
    content = {"schema": schema_of[route.answer]} if route.answer is not None else {}
    answer["content"] = {media: (content if media == "application/json" else {}) for media in route.media}
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "security": _SECURITY[route.who],
        "responses": {
            str(route.status): answer,
            **{
                str(status): _problem(text, answer["content"] if status in route.alike else {})
                for status, text in sorted(_others(route).items())
            },
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {"application/json": {"schema": schema_of[route.body]}},
        }
    return operation


def _others(route: Route) -> dict[int, str]:
    statuses = {503}
    if route.body is not None:
        statuses |= {400, 413} | (set() if route.raw else {415, 422})
    if route.query is not None:
        statuses |= {422}
    if "{" in route.path:
        statuses |= {404}
    if route.who not in {"anyone", "stripe"}:
        statuses |= {401} | ({403} if route.who != "metrics" else set())
    if route.path.startswith("/api/v1/") and route.who != "stripe":
        statuses |= {429}
    return {**{status: _STANDARD[status] for status in statuses}, **route.also}


def _problem(text: str, also: dict[str, Any]) -> dict[str, Any]:
    content = also | {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": text, "content": content}


def _doors(routes: Iterable[Route]) -> str:
    """Who may what: a row for each route, a column for each role."""
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    rows = "".join(
        f"<tr><td><code>{route.method} {html.escape(route.path)}</code></td>"
        + "".join(f"<td>{'yes' if may_enter(route.who, name) else ''}</td>" for name in COLUMNS)
        + "</tr>"
        for route in routes
    )
    return f"<table><thead><tr><th>route</th>{head}</tr></thead><tbody>{rows}</tbody></table>"


def page(specification: dict[str, Any], routes: tuple[Route, ...]) -> str:
    """The document laid out for people, as one page without scripts, with the table of routes and roles at its end."""
    rows = []
    for path, operations in specification["paths"].items():
        for method, operation in operations.items():
            answers = "".join(
                f"<li><code>{status}</code> {html.escape(answer['description'])}</li>"
                for status, answer in operation["responses"].items()
            )
            who = (
                ", ".join(name for need in operation["security"] for name in (next(iter(need.values())) or need))
                or "anyone"
            )
            body = (
                operation.get("requestBody", {})
                .get("content", {})
                .get("application/json", {})
                .get("schema", {})
                .get("$ref", "")
            )
            takes = f"<p>Body: <a href='#{body.rsplit('/', 1)[1]}'>{body.rsplit('/', 1)[1]}</a></p>" if body else ""
            parameters = "".join(
                f"<li><code>{html.escape(p['name'])}</code> in {p['in']}{', required' if p['required'] else ''}</li>"
                for p in operation.get("parameters", [])
            )
            rows.append(
                f"<section><h2><b>{method.upper()}</b> <code>{html.escape(path)}</code></h2><p>{html.escape(operation['summary'])} "
                f"<em>Who: {html.escape(who)}.</em></p>{takes}<ul>{parameters}</ul><ul>{answers}</ul></section>"
            )
    shapes = "".join(
        f"<section id='{html.escape(name)}'><h2>{html.escape(name)}</h2><ul>"
        + "".join(f"<li><code>{html.escape(field)}</code></li>" for field in shape.get("properties", {}))
        + "</ul></section>"
        for name, shape in sorted(specification["components"]["schemas"].items())
    )
    info = specification["info"]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(info['title'])}</title><link rel='stylesheet' href='/docs/docs.css'></head><body><main>"
        f"<h1>{html.escape(info['title'])}</h1><p>{html.escape(info['description'])} "
        f"The document itself: <a href='/openapi.json'>openapi.json</a>.</p>{''.join(rows)}<h1>Shapes</h1>{shapes}"
        f"<h1>Who may what</h1>{_doors(routes)}</main></body></html>"
    )


STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .5rem 0; }
table { border-collapse: collapse; font-size: .85rem; } td, th { padding: .15rem .5rem; text-align: left; }
h2 { font-size: 1rem; margin: .25rem 0; } code { font-size: .95em; } ul { margin: .25rem 0; }
"""
