"""`onramp keys`: straight on the database, as the machine's operator, except what a key's holder does: confirm, enrol, accept.

Whoever holds the database and DATA_KEYS holds the service; so the first keys are made here, and every later one by whoever
prefers. Admins elsewhere use `/api/v1/admin/keys`.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote

import typer

from onramp.auth.roles import KeyRole
from onramp.cli.local import reading, writing
from onramp.cli.options import Cursor, Json, Limit, Otp
from onramp.cli.output import CommandError, print_json, print_pairs, print_table, require_page, say_more, settings
from onramp.cli.remote import call

keys_app = typer.Typer(
    help="API keys of operators, on this machine's database.\n\nExample: [bold]onramp keys list[/bold]",
    no_args_is_help=True,
)
KeyId = Annotated[str, typer.Argument(metavar="ID", help="key_...")]
Role = Annotated[KeyRole, typer.Option(help="What it may do.")]
Name = Annotated[str, typer.Option(help="What it is for.")]
Person = Annotated[
    str, typer.Option(help="Whose it is, as a name that cannot be taken for another's; by default the name.")
]


def as_local_operator(work: Callable[[Any, Any, Any], Awaitable[Any]]) -> Any:
    """Run a verb in one transaction as the machine's operator; a Problem is the command's refusal."""
    from kit.audit.service import LOCAL_OPERATOR
    from kit.clock import SystemClock
    from kit.http.problems import Problem
    from onramp.auth.api_keys.service import Author

    loaded = settings()

    async def inner(connection: Any) -> Any:
        author = Author(LOCAL_OPERATOR, SystemClock().now(), is_production=loaded.is_production)
        return await work(connection, author, loaded.ring)

    try:
        return writing(inner)
    except Problem as problem:
        raise CommandError(f"onramp: {problem.detail} Nothing was changed.") from problem


def _show(document: Any, *, as_json: bool) -> None:
    show_key_response(document.model_dump(mode="json", by_alias=True), as_json=as_json)


def show_key_response(shape: dict[str, Any], *, as_json: bool) -> None:
    """Print a key as the API answers it: its secret, where there is one, and what it may do from when on."""
    if as_json:
        print_json(shape)
        return
    names = ("name", "role", "person", "activeFrom", "madeAt", "madeBy", "confirmedBy", "lastUsedAt", "revokedAt")
    print_pairs([(name, shape[name]) for name in names], title=shape["id"])
    if "secret" in shape:
        typer.echo(f"secret: {shape['secret']}")
        typer.echo("Keep it now: it is not shown again.")


def _standing(item: dict[str, Any]) -> str:
    """Whether a key's newest secret works, and who let it."""
    from datetime import UTC, datetime

    if item["revokedAt"]:
        return "no"
    if datetime.fromisoformat(item["activeFrom"]) > datetime.now(UTC):
        return f"from {item['activeFrom'][:16]}Z"
    if item["confirmedBy"]:
        return f"confirmed by {item['confirmedBy']}"
    # A wait that nobody ended lasts a day; what worked from the start needed no confirmation.
    return "unconfirmed" if item["activeFrom"] > item["madeAt"] else "yes"


def parsed_request(role: Role, name: str, person: str) -> Any:
    """The options as the body of the HTTP route; wrong usage where that would be refused."""
    from pydantic import ValidationError

    from onramp.auth.api_keys import schemas

    try:
        return schemas.CreateKey(role=role, name=name, person=person or None)
    except ValidationError as error:
        raise typer.BadParameter("the name takes 1 to 80 printable characters, the person up to 80") from error


@keys_app.command("create")
def create_key(
    role: Role,
    name: Name,
    person: Person = "",
    *,
    as_json: Json = False,
) -> None:
    """Make a key; the secret is shown once. In production it waits 24 h, or until an approver confirms it.

    What is made here is made by the machine's operator, who is nobody's person: any approver but the key's own may confirm it.

    Example: [bold]onramp keys create --role approver --name "Ada's laptop" --person ada[/bold]
    """
    from kit.ids import RandomIds
    from onramp.auth.api_keys import schemas
    from onramp.auth.api_keys import service as api_keys_service

    asked = parsed_request(role, name, person)
    secret = api_keys_service.new_secret()

    async def work(connection: Any, author: Any, ring: Any) -> Any:
        return await api_keys_service.create(
            connection,
            author,
            key_id=RandomIds().new("key_"),
            secret=secret,
            ring=ring,
            role=asked.role,
            name=asked.name,
            person=asked.person or asked.name,
        )

    _show(schemas.with_secret(as_local_operator(work), secret), as_json=as_json)


@keys_app.command("list")
def list_keys(limit: Limit = 100, cursor: Cursor = None, *, as_json: Json = False) -> None:
    """Keys with their last use, the newest first.

    Example: [bold]onramp keys list[/bold]
    """
    from onramp.auth.api_keys import schemas
    from onramp.auth.api_keys import service as api_keys_service

    found = reading(lambda connection: api_keys_service.newest(connection, limit=limit + 1, before=cursor))
    require_page(found, cursor)
    page = schemas.listed(list(found), limit).model_dump(mode="json", by_alias=True)
    if as_json:
        print_json(page)
        return
    rows = [
        (
            item["id"],
            "revoked" if item["revokedAt"] else item["role"],
            item["person"],
            item["name"],
            _standing(item),
            item["madeBy"] or "unknown",
            (item["lastUsedAt"] or "never")[:16],
        )
        for item in page["data"]
    ]
    print_table(
        ("id", "role", "person", "name", "works", "secret made by", "last use"),
        rows,
        empty="No keys yet. `onramp keys create --role admin --name ...` makes one.",
    )
    say_more(page["nextCursor"])


@keys_app.command("rotate")
def rotate_key(
    key_id: KeyId,
    overlap_minutes: Annotated[
        int, typer.Option(min=0, max=10_080, help="How long the old secret still works.")
    ] = 1440,
    *,
    as_json: Json = False,
) -> None:
    """Give a key a new secret; its id stays. In production the new secret waits, as a new key does.

    Example: [bold]onramp keys rotate key_4k... --overlap-minutes 60[/bold]
    """
    from onramp.auth.api_keys import schemas
    from onramp.auth.api_keys import service as api_keys_service

    secret = api_keys_service.new_secret()

    async def work(connection: Any, author: Any, ring: Any) -> Any:
        overlap = timedelta(minutes=overlap_minutes)
        return await api_keys_service.rotate(connection, author, key_id, secret=secret, ring=ring, overlap=overlap)

    _show(schemas.with_secret(as_local_operator(work), secret), as_json=as_json)


@keys_app.command("revoke")
def revoke_key(key_id: KeyId, *, as_json: Json = False) -> None:
    """Refuse a key, everywhere within five seconds; harmless however often.

    Example: [bold]onramp keys revoke key_4k...[/bold]
    """
    from onramp.auth.api_keys import schemas
    from onramp.auth.api_keys import service as api_keys_service

    async def work(connection: Any, author: Any, _ring: Any) -> Any:
        return await api_keys_service.revoke(connection, author, key_id)

    _show(schemas.answer(as_local_operator(work)), as_json=as_json)


@keys_app.command("confirm")
def confirm_key(key_id: KeyId, otp: Otp = "", *, as_json: Json = False) -> None:
    """Let another person's new key, or its new secret, work at once; needs an approver's ONRAMP_API_KEY.

    The approver is neither the key's person nor anybody who made or rotated it, or made the key that did. What is confirmed
    is the secret that the key has now: where another one is made meanwhile, nothing is confirmed.

    Example: [bold]onramp keys confirm key_4k... --otp 123456[/bold]
    """
    path = f"/api/v1/admin/keys/{quote(key_id, safe='')}/confirm"
    seen = call("GET", path)
    show_key_response(call("POST", path, {"madeAt": seen["madeAt"]}, otp=otp), as_json=as_json)


@keys_app.command("enrol")
def enrol_key(
    code: Annotated[str, typer.Option(help="The first code; asked for where it is not given.")] = "",
) -> None:
    """Give the key in ONRAMP_API_KEY a second factor: codes of an authenticator app, asked of each of its orders except pause.

    Example: [bold]onramp keys enrol[/bold]
    """
    if not code:
        begun = call("POST", "/api/v1/keys/me/otp")
        typer.echo(f"secret: {begun['secret']}")
        typer.echo(f"uri: {begun['uri']}")
        code = typer.prompt("Put it into an authenticator app, and type the code that it shows")
    call("POST", "/api/v1/keys/me/otp/confirm", {"code": code.strip()})
    typer.echo("Enrolled. From now on give a code with --otp, or in the header X-OTP; each works once.")
