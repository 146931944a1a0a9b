"""Request and response models of API keys. A secret is in the response that makes it, and nowhere else."""

from typing import Annotated

from pydantic import AfterValidator, Field

from kit.clock import rfc3339
from kit.db.paging import next_cursor
from kit.http.documents import Document
from kit.http.paging import PositionQuery
from onramp.auth.api_keys.model import ApiKey
from onramp.auth.role_names import KeyRole


def _label(text: str) -> str:
    text = text.strip()
    if not 1 <= len(text) <= 80 or not text.isprintable():
        raise ValueError("must be 1 to 80 printable characters")
    return text


def _person(text: str) -> str:
    text = text.strip()
    if not 1 <= len(text) <= 80:
        raise ValueError("must be 1 to 80 characters")
    return text


Label = Annotated[str, AfterValidator(_label)]
Person = Annotated[str, AfterValidator(_person)]
"""The name of a key's person. Only its length is checked here; `person_names.require` compares it with other persons' names when the key is stored."""


class CreateKey(Document):
    """The request for a new key."""

    role: KeyRole
    name: Label = Field(description="What the key is for.")
    person: Person | None = Field(
        default=None,
        description="Who holds the key; proposer and approver must be different persons. Defaults to the name. Refused if it could be "
        "mistaken for another person's: it must have letters of one script, no invisible characters, and not look like a stored name.",
    )


class RotateKey(Document):
    """The request for a new secret of a key."""

    overlap_minutes: int = Field(
        default=1440, ge=0, le=10_080, description="How long the old secret still works together with the new one."
    )


class ConfirmKey(Document):
    """The request to confirm a key: which secret the approver has seen."""

    made_at: Annotated[str, Field(max_length=40)] | None = Field(
        default=None,
        description="`madeAt` of the key as the approver saw it; 409 `key_changed` if the key has a newer secret.",
    )


class KeysQuery(PositionQuery):
    """The query of a page of keys."""


class KeyResponse(Document):
    """A key without its secret."""

    id: str
    name: str
    role: str
    person: str
    created_at: str
    active_from: str = Field(description="When its newest secret begins to work.")
    made_at: str = Field(description="When its newest secret was made.")
    made_by: str | None = Field(
        description="Who made that secret: the id of a key or invitation, or `machine`. Null if an earlier version made it."
    )
    confirmed_by: str | None
    last_used_at: str | None
    revoked_at: str | None
    second_factor: bool


class NewKeyResponse(KeyResponse):
    """A key with its secret, which is shown only once."""

    secret: str


class Enrolment(Document):
    """A second factor that waits for its first code; the secret is shown only once."""

    secret: str
    uri: str = Field(description="For an authenticator app, as text or as a QR code.")


class FirstCode(Document):
    """The request that confirms a second factor with its first code."""

    code: Annotated[str, Field(pattern="^[0-9]{6}$")]


class KeyList(Document):
    """A page of keys, the newest first."""

    data: list[KeyResponse]
    next_cursor: str | None


def _fields(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "person": key.person,
        "created_at": rfc3339(key.created_at),
        "active_from": rfc3339(key.active_from),
        "made_at": rfc3339(key.made_at),
        "made_by": key.made_by,
        "confirmed_by": key.confirmed_by,
        "last_used_at": rfc3339(key.last_used_at) if key.last_used_at else None,
        "revoked_at": rfc3339(key.revoked_at) if key.revoked_at else None,
        "second_factor": key.second_factor,
    }


def answer(key: ApiKey) -> KeyResponse:
    """Return the response for a key, without its secret."""
    return KeyResponse.model_validate(_fields(key))


def with_secret(key: ApiKey, secret: str) -> NewKeyResponse:
    """Return the response for a key with its secret, which is shown only once."""
    return NewKeyResponse.model_validate({**_fields(key), "secret": secret})


def listed(keys: list[ApiKey], limit: int) -> KeyList:
    """Return the response for a page of keys; `keys` are one more than the page holds (`limit`) if there is a next page."""
    page = keys[:limit]
    return KeyList(data=[answer(key) for key in page], next_cursor=next_cursor(keys, limit))
