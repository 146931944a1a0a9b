"""`onramp keys`: manage API keys directly on the database; confirm, enrol and accept are done over HTTP with a key or link.

Access to the database and DATA_KEYS is full control of the service, so the first keys are made here. Later ones can also be made over
HTTP: admins use `/api/v1/admin/keys`.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import quote

import typer

from onramp.auth.role_names import KeyRole
from onramp.cli.local import reading, writing
from onramp.cli.options import Cursor, Json, Limit, Otp
from onramp.cli.output import (
    CommandError,
    position,
    print_json,
    print_more,
    print_pairs,
    print_table,
    require_page,
    settings,
)
from onramp.cli.remote import call

if TYPE_CHECKING:
    from pydantic import BaseModel
    from sqlalchemy.ext.asyncio import AsyncConnection

    from kit.crypto.keyring import KeyRing
    from onramp.auth.api_keys.model import ApiKey
    from onramp.auth.api_keys.schemas import CreateKey
    from onramp.auth.api_keys.service import Author

Result = TypeVar("Result")
keys_app = typer.Typer(
    help="API keys of operators, in this computer's database.\n\nExample: [bold]onramp keys list[/bold]",
    no_args_is_help=True,
)
KeyId = Annotated[str, typer.Argument(metavar="ID", help="key_...")]
Role = Annotated[KeyRole, typer.Option(help="What the key may do.")]
Name = Annotated[str, typer.Option(help="What the key is for.")]
Person = Annotated[
    str, typer.Option(help="Who holds the key, by a name that cannot be mistaken for another's; defaults to the name.")
]


def as_local_operator(work: "Callable[[AsyncConnection, Author, KeyRing], Awaitable[Result]]") -> Result:
    """Await `work` in one transaction, with the local operator as the author; return its result. A Problem becomes a CommandError."""
    from kit.audit.service import LOCAL_OPERATOR
    from kit.clock import SystemClock
    from kit.http.problems import Problem
    from onramp.auth.api_keys.service import Author

    loaded = settings()

    async def inner(conn: "AsyncConnection") -> Result:
        author = Author(LOCAL_OPERATOR, SystemClock().now(), is_production=loaded.is_production)
        return await work(conn, author, loaded.ring)

    try:
        return writing(inner)
    except Problem as problem:
        raise CommandError(f"onramp: {problem.detail} Nothing was changed.") from problem


def _show(document: "BaseModel", *, as_json: bool) -> None:
    show_key(document.model_dump(mode="json", by_alias=True), as_json=as_json)


def show_key(key: dict[str, Any], *, as_json: bool) -> None:
    """Print a key as the API returns it, with its secret if it has one."""
    if as_json:
        print_json(key)
        return
    names = ("name", "role", "person", "activeFrom", "madeAt", "madeBy", "confirmedBy", "lastUsedAt", "revokedAt")
    print_pairs([(name, key[name]) for name in names], title=key["id"])
    if "secret" in key:
        typer.echo(f"secret: {key['secret']}")
        typer.echo("Store it now: it is not shown again.")


def _state(item: dict[str, Any]) -> str:
    """Return whether a key's newest secret works, and who confirmed it."""
    from datetime import UTC, datetime

    if item["revokedAt"]:
        return "no"
    if datetime.fromisoformat(item["activeFrom"]) > datetime.now(UTC):
        return f"from {item['activeFrom'][:16]}Z"
    if item["confirmedBy"]:
        return f"confirmed by {item['confirmedBy']}"
    # The wait of an unconfirmed secret ends by itself after a day; a secret that worked from the start needed no confirmation.
    return "unconfirmed" if item["activeFrom"] > item["madeAt"] else "yes"


def parse_key_request(role: Role, name: str, person: str) -> "CreateKey":
    """Return the options as the body of the HTTP route. Raises typer.BadParameter if they are not a valid body."""
    from pydantic import ValidationError

    from onramp.auth.api_keys import schemas

    try:
        return schemas.CreateKey(role=role, name=name, person=person or None)
    except ValidationError as error:
        raise typer.BadParameter("the name has 1 to 80 printable characters, the person up to 80") from error


@keys_app.command("create")
def create_key(
    role: Role,
    name: Name,
    person: Person = "",
    *,
    as_json: Json = False,
) -> None:
    """Make a key; the secret is shown once. In production it works after 24 h, or once an approver confirms it.

    Its maker is the local operator, who is not a person: any approver except the key's own person may confirm it.

    Example: [bold]onramp keys create --role approver --name "Ada's laptop" --person ada[/bold]
    """
    from kit.ids import RandomIds
    from onramp.auth.api_keys import schemas
    from onramp.auth.api_keys import service as api_keys_service

    request = parse_key_request(role, name, person)
    secret = api_keys_service.new_secret()

    async def work(conn: "AsyncConnection", author: "Author", ring: "KeyRing") -> "ApiKey":
        return await api_keys_service.create(
            conn,
            author,
            key_id=RandomIds().new("key_"),
            secret=secret,
            ring=ring,
            role=request.role,
            name=request.name,
            person=request.person or request.name,
        )

    _show(schemas.with_secret(as_local_operator(work), secret), as_json=as_json)


@keys_app.command("list")
def list_keys(limit: Limit = 100, cursor: Cursor = None, *, as_json: Json = False) -> None:
    """List API keys, revoked ones included, with their last use; the newest first.

    Example: [bold]onramp keys list[/bold]
    """
    from onramp.auth.api_keys import schemas
    from onramp.auth.api_keys import service as api_keys_service

    before = position(cursor)
    keys = reading(lambda conn: api_keys_service.newest(conn, limit=limit + 1, before=before))
    require_page(keys, cursor)
    page = schemas.listed(list(keys), limit).model_dump(mode="json", by_alias=True)
    if as_json:
        print_json(page)
        return
    rows = [
        (
            item["id"],
            "revoked" if item["revokedAt"] else item["role"],
            item["person"],
            item["name"],
            _state(item),
            item["madeBy"] or "unknown",
            (item["lastUsedAt"] or "never")[:16],
        )
        for item in page["data"]
    ]
    print_table(
        ("id", "role", "person", "name", "works", "secret made by", "last use"),
        rows,
        empty="No keys yet. Make one with `onramp keys create --role admin --name ...`.",
    )
    print_more(page["nextCursor"])


@keys_app.command("rotate")
def rotate_key(
    key_id: KeyId,
    overlap_minutes: Annotated[
        int, typer.Option(min=0, max=10_080, help="How long the old secret still works.")
    ] = 1440,
    *,
    as_json: Json = False,
) -> None:
    """Give a key a new secret; its id stays. In production the new secret waits like a new key.

    Example: [bold]onramp keys rotate key_4k... --overlap-minutes 60[/bold]
    """
    from onramp.auth.api_keys import schemas
    from onramp.auth.api_keys import service as api_keys_service

    secret = api_keys_service.new_secret()

    async def work(conn: "AsyncConnection", author: "Author", ring: "KeyRing") -> "ApiKey":
        overlap = timedelta(minutes=overlap_minutes)
        return await api_keys_service.rotate(conn, author, key_id, secret=secret, ring=ring, overlap=overlap)

    _show(schemas.with_secret(as_local_operator(work), secret), as_json=as_json)


@keys_app.command("revoke")
def revoke_key(key_id: KeyId, *, as_json: Json = False) -> None:
    """Revoke a key; it is refused everywhere within five seconds. May be repeated.

    Example: [bold]onramp keys revoke key_4k...[/bold]
    """
    from onramp.auth.api_keys import schemas
    from onramp.auth.api_keys import service as api_keys_service

    async def work(conn: "AsyncConnection", author: "Author", _ring: "KeyRing") -> "ApiKey":
        return await api_keys_service.revoke(conn, author, key_id)

    _show(schemas.answer(as_local_operator(work)), as_json=as_json)


@keys_app.command("confirm")
def confirm_key(key_id: KeyId, otp: Otp = "", *, as_json: Json = False) -> None:
    """Let another person's new key, or its new secret, work at once; needs an approver's ONRAMP_API_KEY.

    The approver must be another person than the key's own and than its makers: everyone who made or rotated this key, or a key that
    did. This confirms the secret that the key has now: if another one is made in the meantime, nothing is confirmed.

    Example: [bold]onramp keys confirm key_4k... --otp 123456[/bold]
    """
    path = f"/api/v1/admin/keys/{quote(key_id, safe='')}/confirm"
    key = call("GET", path)
    show_key(call("POST", path, {"madeAt": key["madeAt"]}, otp=otp), as_json=as_json)


@keys_app.command("enrol")
def enrol_key(
    code: Annotated[str, typer.Option(help="The first code; without it the command asks for it.")] = "",
) -> None:
    """Give the key in ONRAMP_API_KEY a second factor: each of its commands except pause then needs a code of an authenticator app.

    Example: [bold]onramp keys enrol[/bold]
    """
    if not code:
        enrolment = call("POST", "/api/v1/keys/me/otp")
        typer.echo(f"secret: {enrolment['secret']}")
        typer.echo(f"uri: {enrolment['uri']}")
        code = typer.prompt("Add it to an authenticator app, and type the code that the app shows")
    call("POST", "/api/v1/keys/me/otp/confirm", {"code": code.strip()})
    typer.echo("Enrolled. From now on give a code with --otp, or in the header X-OTP; each code works once.")
