"""The OpenAPI 3.1 document, made from the route table that serves: what is documented is what runs."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from kit.http.auth import takes_code
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
_CODE = {"X-OTP": "A code of the key's second factor, where it has one; each works once. A dry run needs none."}
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
            {
                "name": name,
                "in": "query",
                "required": name in shape.get("required", []),
                **({"description": schema["description"]} if "description" in schema else {}),
                "schema": schema,
            }
            for name, schema in shape.get("properties", {}).items()
        ]
    parameters += [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in {**route.headers, **(_CODE if takes_code(route) else {})}.items()
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
