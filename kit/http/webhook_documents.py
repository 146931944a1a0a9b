"""The section `webhooks` of an OpenAPI 3.1 document: what a receiver of our messages is sent, by type of event."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

_HEADERS: Final = {
    "webhook-id": "The message's id, the same in every attempt: act once for each.",
    "webhook-timestamp": "When this attempt was made, in seconds since 1970. Refuse what is more than five minutes away.",
    "webhook-signature": "`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64; several are separated by blanks while a secret is rotated.",
}
_RESPONSES: Final = {
    "2XX": {"description": "Taken. Answer within 15 s, and work afterwards."},
    "410": {"description": "Gone: the endpoint is disabled."},
    "default": {
        "description": "Not taken: the message is sent again, ever more rarely, for about three days. Redirects are not followed."
    },
}


def add_webhooks(document: dict[str, Any], events: Mapping[str, type[BaseModel]], *, description: str) -> None:
    """Add a webhook for each type of event, whose body has `type`, `timestamp` and, as `data`, the model that `events` names for it.

    Components that the document has already are shared. Raises ValueError if one of the same name differs.
    """
    models = sorted(set(events.values()), key=lambda model: model.__name__)
    references, definitions = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/components/schemas/{model}"
    )
    components = document["components"]["schemas"]
    for name, schema in definitions.get("$defs", {}).items():
        if components.setdefault(name, schema) != schema:
            raise ValueError(f"two components are named {name}")
    document["webhooks"] = {
        event: {"post": _operation(event, references[model, "serialization"], description)}
        for event, model in events.items()
    }


def _operation(event: str, data: Mapping[str, Any], description: str) -> dict[str, Any]:
    body = {
        "type": "object",
        "properties": {
            "type": {"type": "string", "const": event},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
            "data": dict(data),
        },
        "required": ["type", "timestamp", "data"],
    }
    return {
        "operationId": f"webhook_{event.replace('.', '_')}",
        "summary": f"The event `{event}`.",
        "description": description,
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
            for name, text in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": _RESPONSES,
    }
