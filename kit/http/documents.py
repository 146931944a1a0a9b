"""JSON documents of the API: the base class of request and response models, and responses made from them."""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Document(BaseModel):
    """A JSON document with camelCase fields; unknown fields are refused, and no value is converted silently."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        strict=True,
        frozen=True,
    )


def reply(document: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return `document` as a JSON response with camelCase fields."""
    content = document.__pydantic_serializer__.to_json(document, by_alias=True)
    return web.Response(body=content, status=status, content_type="application/json", headers=headers)


def reply_json(
    document: Mapping[str, Any], *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """Return an already rendered dictionary as a JSON response.

    It is for the busiest routes, which do not build a model; `Route.response` still names the model that describes the document.
    """
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json", headers=headers)
