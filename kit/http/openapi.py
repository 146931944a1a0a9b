"""Build the OpenAPI 3.1 document from the route table that serves, so that it cannot differ from it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from kit.http.routing import Access, Route

Codes = tuple[str, ...]
"""The codes of several problems, such as `("not_found",)`."""


@dataclass(frozen=True, slots=True)
class AccessRule:
    """The entries of the OpenAPI document for one kind of access."""

    requirement: Sequence[Mapping[str, Sequence[str]]] = ()
    """The OpenAPI security requirements: name of the scheme -> roles."""
    refusals: Mapping[int, Codes] = field(default_factory=dict)
    """The problems for callers without this access: status -> codes."""


@dataclass(frozen=True, slots=True)
class Security:
    """The parts of each operation that the application adds for access and rate limits."""

    schemes: Mapping[str, Mapping[str, str]]
    """The OpenAPI security schemes by name."""
    rules: Mapping[Access, AccessRule]
    headers: Callable[[Route], Mapping[str, str]]
    """A function that returns the request headers that the guard reads on a route: name -> meaning."""
    is_limited: Callable[[Route], bool]
    """A function that returns whether a route may answer 429."""
    codes: Callable[[Route], Mapping[int, Codes]] = lambda _route: {}
    """A function that returns the guard's problems on a route beside those of its access rule: status -> codes."""


_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "requestId"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {
            "type": "string",
            "description": "Stable, snake_case. Each response lists its own; besides, any may have a ServerProblemCode.",
        },
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
SERVER_CODES: Final[Codes] = (
    "malformed_request", "method_not_allowed", "request_timeout", "uri_too_long", "encoding_unsupported", "expectation_failed",
    "too_many_connections", "headers_too_large", "internal_error", "timeout", "http_version_unsupported", "http_error",
)  # fmt: skip
"""The codes of problems that the HTTP server may answer to any request."""
_MEANINGS = {
    400: "Malformed request.",
    401: "Missing or invalid credentials.",
    403: "Not allowed.",
    404: "No such id.",
    406: "Not served as any of the media types that `Accept` names.",
    409: "The current state does not allow it.",
    413: "Body too large.",
    415: "The body is not JSON.",
    422: "Validation failed; `errors` names each invalid field.",
    429: "Too many requests.",
    503: "Service unavailable; retry later.",
}


def document(
    routes: Iterable[Route], security: Security, *, title: str, version: str, description: str
) -> dict[str, Any]:
    """Return the whole OpenAPI document as plain data. Raises KeyError for a route whose access `security` does not describe."""
    table = list(routes)
    inputs = {model for route in table for model in (route.body, route.query) if model is not None}
    models = inputs | {model for route in table for model in (route.response, route.event) if model is not None}
    modes: list[tuple[type[BaseModel], Any]] = [
        (model, "validation" if model in inputs else "serialization")
        for model in sorted(models, key=lambda model: model.__name__)
    ]
    references, definitions = models_json_schema(modes, ref_template="#/components/schemas/{model}")
    schema_of: dict[Any, Any] = {model: reference for (model, _mode), reference in references.items()}
    schemas = {
        **definitions.get("$defs", {}),
        "Problem": _PROBLEM,
        "ServerProblemCode": {
            "type": "string",
            "enum": list(SERVER_CODES),
            "description": "Codes that the HTTP server may answer to any request.",
        },
    }
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
    if route.event is not None:
        success["content"]["text/event-stream"] = {"schema": schema_of[route.event]}
    codes = problem_codes(route, security)
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "security": list(security.rules[route.access].requirement),
        "responses": {
            str(route.status): success,
            **{
                str(status): _other_response(route, status, codes.get(status, ()), success["content"])
                for status in sorted({*codes, *route.responses})
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


def problem_codes(route: Route, security: Security) -> dict[int, Codes]:
    """Return the codes of all problems that a route may answer, by status: those of its shape, of its access, and of its handler."""
    sources: list[Mapping[int, Codes]] = [
        {503: ("timeout", "database_unavailable")},
        security.rules[route.access].refusals,
        security.codes(route),
        route.codes,
    ]
    if route.body is not None:
        sources.append({400: ("body_unreadable",), 413: ("body_too_large",)})
        if not route.raw_body:
            sources.append(
                {
                    400: ("malformed_json",),
                    415: ("unsupported_media_type", "encoding_unsupported"),
                    422: ("validation_failed",),
                }
            )
    if route.query is not None:
        sources.append({422: ("validation_failed",)})
    if "{" in route.path:
        sources.append({404: ("not_found",)})
    if security.is_limited(route):
        sources.append({429: ("rate_limited",)})
    codes: dict[int, dict[str, None]] = {}
    for source in sources:
        for status, names in source.items():
            codes.setdefault(status, {}).update(dict.fromkeys(names))
    return {status: tuple(names) for status, names in codes.items()}


def _other_response(route: Route, status: int, codes: Codes, success: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of a response other than the successful one. A redirect or 304 has no content."""
    named = ", ".join(f"`{code}`" for code in codes)
    response: dict[str, Any] = {"description": route.responses.get(status) or _MEANINGS.get(status) or f"{named}."}
    content = dict(success) if status in route.same_schema else {}
    if status >= 400:
        content["application/problem+json"] = {"schema": _problem(codes, route.foreign_codes.get(status))}
    if content:
        response["content"] = content
    return response


def _problem(codes: Codes, pattern: str | None) -> dict[str, Any]:
    problem = {"$ref": "#/components/schemas/Problem"}
    if not codes and pattern is None:
        return problem
    own: dict[str, Any] = {"properties": {"code": {"type": "string", "enum": list(codes)}}}
    if pattern is not None:
        own = {"anyOf": [own, {"properties": {"code": {"type": "string", "pattern": pattern}}}]}
    return {"allOf": [problem, own]}
