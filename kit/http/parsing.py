"""Read and validate request bodies and query strings. Errors name the field and never repeat the value."""

import asyncio
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from kit import json
from kit.http.problems import FieldError, Problem, invalid
from kit.validation import validation_text

BODY = web.RequestKey("body", BaseModel)
QUERY = web.RequestKey("query", BaseModel)
KIB = 1024
BODY_SECONDS = 15.0
"""Seconds that a body may take to arrive."""
MAX_FIELDS = 100
"""The most fields of a body or query; none of this API has more. To list thousands of wrong fields would cost more than any valid request."""
Model = TypeVar("Model", bound=BaseModel)


def body_of(request: web.Request, model: type[Model]) -> Model:
    """Return the request's body, parsed already. Raises TypeError if the route declares another model."""
    body = request[BODY]
    if not isinstance(body, model):
        raise TypeError(f"the route table does not declare the body {model.__name__}")
    return body


def query_of(request: web.Request, model: type[Model]) -> Model:
    """Return the request's query, parsed already. Raises TypeError if the route declares another model."""
    query = request[QUERY]
    if not isinstance(query, model):
        raise TypeError(f"the route table does not declare the query {model.__name__}")
    return query


def field_errors(error: ValidationError) -> list[FieldError]:
    """Convert pydantic's errors to JSON pointers and texts such as "must be a valid integer"; the values are left out."""
    errors = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        pointer = "".join(f"/{part}" for part in item["loc"])
        errors.append(FieldError(pointer or "/", validation_text(item["msg"])))
    return errors


async def read_body(request: web.Request, limit: int) -> bytes:
    """Return the whole body, up to `limit` bytes.

    Raises Problem 413 as soon as the body is known to be larger, Problem 400 if it is cut off or cannot be decoded, and TimeoutError if it
    has not ended after BODY_SECONDS.
    """
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)
    try:
        if request.content.is_eof():
            raw = await request.read()
        else:
            async with asyncio.timeout(BODY_SECONDS):
                raw = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise _too_large(limit) from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise _unreadable() from error
    except RuntimeError as error:
        if request.transport is not None:
            raise
        # aiohttp raises RuntimeError if the connection was lost between two of its reads.
        raise _unreadable() from error
    if len(raw) > limit:
        raise _too_large(limit)
    return raw


def _too_large(limit: int) -> Problem:
    return Problem(413, "body_too_large", f"The body may be at most {limit // KIB} KiB.")


def _unreadable() -> Problem:
    return Problem(400, "body_unreadable", "The body is cut off, or is not encoded as its header says.")


async def parse_body(request: web.Request, model: type[BaseModel], limit: int, *, optional: bool = False) -> BaseModel:
    """Return the JSON body as `model`; with `optional`, a request without a body is read as `{}`.

    Raises Problem 415 for another content type, 413 for more than `limit` bytes, 400 for malformed JSON or a body that is cut off, and 422
    for fields that are invalid. TimeoutError if the body has not ended after BODY_SECONDS.
    """
    if optional and not request.can_read_body:
        return model.model_validate({})
    if request.content_type != "application/json":
        raise Problem(415, "unsupported_media_type", "Send the body as application/json.")
    raw = await read_body(request, limit)
    try:
        value = json.loads(raw)
    except json.MalformedJson as error:
        text = str(error)
        raise Problem(400, "malformed_json", f"{text[0].upper()}{text[1:]}.") from error
    if not isinstance(value, dict):
        raise invalid([FieldError("", "must be a JSON object")])
    if len(value) > MAX_FIELDS:
        raise invalid([FieldError("", f"has more than {MAX_FIELDS} fields")])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(field_errors(error)) from error


def parse_query(request: web.Request, model: type[BaseModel]) -> BaseModel:
    """Return the query string as `model`. Raises Problem 422 if a parameter is repeated, unknown or invalid."""
    if len(request.query) > MAX_FIELDS:
        raise invalid([FieldError("", f"has more than {MAX_FIELDS} parameters")])
    with_nul = [name for name, value in request.query.items() if "\0" in value]
    if with_nul:
        raise invalid([FieldError(f"/{name[:64]}", "contains a NUL character") for name in with_nul])
    repeated = {name for name in request.query if len(request.query.getall(name)) > 1}
    if repeated:
        raise invalid([FieldError(f"/{name[:64]}", "is given twice") for name in sorted(repeated)])
    try:
        return model.model_validate(dict(request.query), strict=False)
    except ValidationError as error:
        raise invalid(field_errors(error)) from error
