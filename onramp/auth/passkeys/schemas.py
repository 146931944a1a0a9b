"""Request and response models of passkeys. Objects of WebAuthn have the shape that browsers give and take."""

from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field

from kit.clock import rfc3339
from kit.db.paging import next_cursor
from kit.http.documents import Document
from kit.http.paging import PositionQuery
from kit.signed_plans.webauthn import MAX_CREDENTIAL
from onramp.auth.passkeys.service import Passkey


def _label(text: str) -> str:
    text = text.strip()
    if not 1 <= len(text) <= 80 or not text.isprintable():
        raise ValueError("must be 1 to 80 printable characters")
    return text


def _bounded(credential: dict[str, Any]) -> dict[str, Any]:
    if len(orjson.dumps(credential)) > MAX_CREDENTIAL:
        raise ValueError("is larger than any browser's answer")
    return credential


Credential = Annotated[dict[str, Any], AfterValidator(_bounded)]


class BeginRegistration(Document):
    """The request to begin the enrolment of a passkey."""

    permission: Annotated[str, Field(max_length=100)] | None = Field(
        default=None,
        description="An admin's permission, for a person who has neither a passkey nor a second factor.",
    )


class RegistrationResponse(Document):
    """An enrolment that waits for the browser."""

    id: str
    options: dict[str, Any] = Field(
        description="PublicKeyCredentialCreationOptionsJSON, for `navigator.credentials.create`."
    )
    expires_at: str


class EnrolPasskey(Document):
    """The request that ends an enrolment."""

    registration: Annotated[str, Field(max_length=64)] = Field(description="The id of the enrolment.")
    name: Annotated[str, AfterValidator(_label)] = Field(description="What the device is, such as Laptop.")
    credential: Credential = Field(description="RegistrationResponseJSON, as the browser answered.")


class PasskeyResponse(Document):
    """A passkey of a person."""

    id: str
    name: str
    person: str
    created_at: str
    last_used_at: str | None
    backed_up: bool = Field(description="Whether the person's devices share it, as the device says.")


class PasskeysQuery(PositionQuery):
    """The query of a page of passkeys."""


class PasskeyList(Document):
    """A page of passkeys in use, the newest first."""

    data: list[PasskeyResponse]
    next_cursor: str | None


class BeginApproval(Document):
    """The request for the plan of a command and its challenge."""

    action: Annotated[str, Field(max_length=64)] = Field(description="The command, such as `sweep.approve`.")
    subject: Annotated[str, Field(max_length=80)] = Field(description="The id of what it decides about.")
    note: Annotated[str, Field(max_length=500)] = Field(default="", description="The note that the command will carry.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="The other fields that the command's body will have."
    )


class ChallengeResponse(Document):
    """A plan, and the challenge with which a passkey signs it."""

    id: str
    plan: dict[str, Any] = Field(description="Every member of what is signed.")
    sentence: str = Field(description="The plan as a sentence; it is a member of the plan, too.")
    hash: str = Field(description="SHA-256 of the plan's canonical form, which is the challenge.")
    expires_at: str
    options: dict[str, Any] = Field(
        description="PublicKeyCredentialRequestOptionsJSON, for `navigator.credentials.get`."
    )


class PermitPasskey(Document):
    """The request for a permission to enrol a first passkey."""

    person: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        description="Who may enrol, as keys and sessions show them."
    )


class PermissionResponse(Document):
    """A permission to enrol; its secret is shown only once."""

    id: str
    person: str
    permission: str
    expires_at: str


def passkey(row: Passkey) -> PasskeyResponse:
    """Return the response for a passkey."""
    return PasskeyResponse(
        id=row.id,
        name=row.name,
        person=row.person,
        created_at=rfc3339(row.created_at),
        last_used_at=None if row.last_used_at is None else rfc3339(row.last_used_at),
        backed_up=row.backed_up,
    )


def listed(rows: list[Passkey], limit: int) -> PasskeyList:
    """Return the response for a page of passkeys; `rows` are one more than the page holds (`limit`) if there is a next page."""
    return PasskeyList(data=[passkey(row) for row in rows[:limit]], next_cursor=next_cursor(rows, limit))
