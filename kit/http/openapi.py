"""Build the OpenAPI 3.1 document from the route table that serves, so that it cannot differ from it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from kit.http.routing import Access, Route


@dataclass(frozen=True, slots=True)
class AccessRule:
    """How the document describes one kind of access."""

    requirement: Sequence[Mapping[str, Sequence[str]]] = ()
    """OpenAPI security requirements: name of the scheme -> roles."""
    refusals: frozenset[int] = frozenset()
    """Statuses of the problems for callers without this access."""


@dataclass(frozen=True, slots=True)
class Security:
    """What the application adds to each operation for access and rate limits."""

    schemes: Mapping[str, Mapping[str, str]]
    """OpenAPI security schemes by name."""
    rules: Mapping[Access, AccessRule]
    headers: Callable[[Route], Mapping[str, str]]
    """Request headers that the guard reads on a route: name -> meaning."""
    is_limited: Callable[[Route], bool]
    """Whether a route may answer 429."""


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
_MEANINGS = {
    400: "Malformed request.",
    401: "Missing or invalid credentials.",
    403: "Not allowed.",
    404: "No such id.",
    413: "Body too large.",
    415: "The body is not JSON.",
    422: "Validation failed; `errors` names each invalid field.",
    429: "Too many requests.",
    503: "Service unavailable; retry later.",
}


def document(
    routes: Iterable[Route], security: Security, *, title: str, version: str, description: str
) -> dict[str, Any]:
    """Return the whole OpenAPI document as plain data. KeyError for a route whose access `security` does not describe."""
    table = list(routes)
    inputs = {model for route in table for model in (route.body, route.query) if model is not None}
    models = inputs | {route.response for route in table if route.response is not None}
    modes: list[tuple[type[BaseModel], Any]] = [
        (model, "validation" if model in inputs else "serialization")
        for model in sorted(models, key=lambda model: model.__name__)
    ]
    references, definitions = models_json_schema(modes, ref_template="#/components/schemas/{model}")
    schema_of: dict[Any, Any] = {model: reference for (model, _mode), reference in references.items()}
    schemas = {**definitions.get("$defs", {}), "Problem": _PROBLEM}
    paths: dict[str, Any] = {}
    for route in table:
        path = re.sub(r"{(\w+):[^}]+}", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, security, schema_of, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": dict(security.schemes)},
    }


def _operation(route: Route, security: Security, schema_of: dict[Any, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Success."}
    content = {"schema": schema_of[route.response]} if route.response is not None else {}
    success["content"] = {media: (content if media == "application/json" else {}) for media in route.media}
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "security": list(security.rules[route.access].requirement),
        "responses": {
            str(route.status): success,
            **{
                str(status): _problem(text, success["content"] if status in route.same_schema else {})
                for status, text in sorted(_other_responses(route, security).items())
            },
        },
    }
    if parameters := _parameters(route, security, schema_of, schemas):
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {"application/json": {"schema": schema_of[route.body]}},
        }
    return operation


def _parameters(
    route: Route, security: Security, schema_of: dict[Any, Any], schemas: dict[str, Any]
) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)[:}]", route.path)
    ]
    if route.query is not None:
        model = schemas[schema_of[route.query]["$ref"].rsplit("/", 1)[1]]
        parameters += [
            {
                "name": name,
                "in": "query",
                "required": name in model.get("required", []),
                **({"description": schema["description"]} if "description" in schema else {}),
                "schema": schema,
            }
            for name, schema in model.get("properties", {}).items()
        ]
    parameters += [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in {**route.headers, **security.headers(route)}.items()
    ]
    return parameters


def _other_responses(route: Route, security: Security) -> dict[int, str]:
    """Return the problems that a route may answer by its shape and access, and those it declares itself: status -> meaning."""
    statuses = {503} | security.rules[route.access].refusals
    if route.body is not None:
        statuses |= {400, 413} | (set() if route.raw_body else {415, 422})
    if route.query is not None:
        statuses |= {422}
    if "{" in route.path:
        statuses |= {404}
    if security.is_limited(route):
        statuses |= {429}
    return {**{status: _MEANINGS[status] for status in statuses}, **route.responses}


def _problem(text: str, other_content: dict[str, Any]) -> dict[str, Any]:
    content = other_content | {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": text, "content": content}
